"""What recipes for the Neural Latents Benchmark cost: `experiment=langevinflow/<dataset>` on made-up counts of its true shape.

    python -m benchmarks.nlb_recipes [--datasets mc_maze …] [--bins_ms 5 20] [--steps 3] [-- OVERRIDE …]

Bins, batch and steps are those of the recipe, units and trials those of the files (Pei et al. 2021; trials of DMFC_RSG about).
Each case runs in a process of its own, whose peak memory is told whole: imports, data, training steps, and the prediction of a
batch of evaluation trials.

Prints one JSON object a line: `dataset`, `bin_ms`, `trials` (training trials of phase val), `bins` (observed and forward),
`units` (held-in and held-out), `batch`, `steps`, `step_ms` (median of a training step, after one to warm up), `peak_mib`, and
`hours` of the run with its validations and final predictions. Times are of one thread, so that others on the machine count
less. `launches` counts what a training step computes outside the GRU, operation by operation: each is a kernel on a GPU,
where the GRU is one.
"""

import argparse
import json
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.runs import forever
from neuralsde.cli import CONFIGS
from neuralsde.datamodules.batches import TrialDataModule
from neuralsde.datamodules.trials import DataSpec, TrialData, Trials
from neuralsde.evaluation.predict import predict
from neuralsde.training.fit import build_module, fill_in_sizes, start
from neuralsde.training.module import LatentDynamics


class Shape(NamedTuple):
    """Units, and trials of phase val, of a recording."""

    heldin: int
    heldout: int
    train: int
    val: int


SHAPES = {
    "mc_maze": Shape(137, 45, 1721, 574),
    "mc_rtt": Shape(98, 32, 810, 270),
    "area2_bump": Shape(49, 16, 272, 92),
    "dmfc_rsg": Shape(40, 14, 755, 251),  # about: train and val are 1006 together
    "mc_maze_large": Shape(122, 40, 375, 125),
    "mc_maze_medium": Shape(114, 38, 188, 62),
    "mc_maze_small": Shape(107, 35, 75, 25),
}
RATE_HZ = 6.0


class MadeUp(TrialDataModule):
    """Poisson counts of one rate in the shape of a recording."""

    def __init__(self, shape: Shape, spec: DataSpec, batch_size: int, eval_batch_size: int):
        super().__init__(batch_size, 0, eval_batch_size)
        self.shape, self.sizes = shape, spec

    def read(self) -> TrialData:
        rng = np.random.default_rng(0)

        def trials(n: int) -> Trials:
            size = (n, self.sizes.total_bins, self.sizes.target_dim)
            counts = rng.poisson(RATE_HZ * self.sizes.bin_width_s, size).astype(np.float32)
            past, future = np.split(counts, [self.sizes.observed_bins], axis=1)
            parts = (part for half in (past, future) for part in np.split(half, [self.shape.heldin], axis=2))
            return Trials(**dict(zip(("heldin", "heldout", "heldin_forward", "heldout_forward"), parts, strict=True)))

        return TrialData("made_up", self.sizes, trials(self.shape.train), trials(self.shape.val))


def recipe(dataset: str, bin_ms: int, overrides: list[str]) -> DictConfig:
    """What the command line composes."""
    words = [f"experiment=langevinflow/{dataset}", f"data.bin_width_s={bin_ms / 1000}", "run_dir=unused", *overrides]
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        return compose("train", overrides=words)


def spec_of(data: DictConfig, shape: Shape) -> DataSpec:
    """Sizes that the recording would give."""
    width_ms = 1000 * data.bin_width_s
    bins = [round(length / width_ms) for length in (data.window_ms[1] - data.window_ms[0], data.forward_ms)]
    return DataSpec(shape.heldin, shape.heldin + shape.heldout, *bins, data.bin_width_s)


def case(dataset: str, bin_ms: int, steps: int, overrides: list[str]) -> dict[str, object]:
    """One line."""
    torch.set_num_threads(1)
    config, shape = recipe(dataset, bin_ms, overrides), SHAPES[dataset]
    data = MadeUp(shape, spec_of(config.data, shape), config.data.batch_size, config.data.eval_batch_size)
    fill_in_sizes(config, data.spec)
    data.setup()
    torch.manual_seed(0)
    module = build_module(config, data.spec)
    start(module, data, config)
    optimizer, batches, times = module.make_optimizer(module.parameter_groups()), forever(data), []
    for _ in range(steps + 1):
        begin = time.process_time()
        optimizer.zero_grad()
        module.loss(next(batches)).loss.total.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), config.trainer.gradient_clip_val)
        optimizer.step()
        times.append(time.process_time() - begin)
    launches = launched(lambda: module.loss(next(batches)).loss.total.backward())
    batch = next(batches)
    launches -= launched(lambda: module.model.encoder(batch.values, batch.seen, batch.times).sum().backward())
    step_s, sample_s = statistics.median(times[1:]), seconds_of_a_sample(module, data, config.predict)
    validations = config.training.steps / -(-shape.train // config.data.batch_size) / config.trainer.check_val_every_n_epoch
    samples = validations * shape.val * module.val_samples + (shape.train + shape.val) * config.predict.n_samples
    return {
        "dataset": dataset, "bin_ms": bin_ms, "trials": shape.train, "bins": [data.spec.observed_bins, data.spec.forward_bins],
        "units": [shape.heldin, shape.heldout], "batch": config.data.batch_size, "steps": config.training.steps,
        "step_ms": round(1000 * step_s), "launches": launches,
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "hours": round((config.training.steps * step_s + samples * sample_s) / 3600, 2),
    }  # fmt: skip


class Counter(TorchDispatchMode):
    """Counts operations, those of the backward pass too; views compute nothing."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += not func.is_view
        return func(*args, **kwargs or {})


def launched(work: Callable[[], object]) -> int:
    """Operations of `work`."""
    with Counter() as counter:
        work()
    return counter.count


def seconds_of_a_sample(module: LatentDynamics, data: TrialDataModule, settings: DictConfig) -> float:
    """Of the posterior of one trial, from a batch of evaluation trials as a run predicts it."""
    trials, n = data.data.eval[: data.eval_batch_size], settings.sample_batch
    begin = time.process_time()
    predict(module.eval(), trials, n_samples=n, sample_batch=n)
    return (time.process_time() - begin) / len(trials) / n


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--bins_ms", type=int, nargs="+", default=[5, 20])
    parser.add_argument("--steps", type=int, default=3, help="to measure")
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    for dataset in options.datasets:
        for bin_ms in options.bins_ms:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                line = pool.apply(case, (dataset, bin_ms, options.steps, options.overrides))
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
