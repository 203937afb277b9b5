"""What the recipes for the Neural Latents Benchmark cost: `experiment=langevinflow/<dataset>` on made-up counts of its true shape.

    python -m benchmarks.nlb_recipes [--datasets mc_maze …] [--bins_ms 5 20] [--steps 3] [--threads 1] [-- OVERRIDE …]

Bins, batch and steps are those of the recipe, units and trials those of the files (Pei et al. 2021; trials of DMFC_RSG about).
Each case runs in a process of its own, whose peak memory is told whole: imports, data, training steps, and one batch of evaluation
trials.

Prints one JSON object a line: `dataset`, `bin_ms`, `trials` (training trials of phase val), `bins` (observed and forward), `units`
(held-in and held-out), `batch`, `steps`, `step_ms` (median of a training step, after one to warm up), `peak_mib`, and `hours` of the
run with its validations. Times are of the processor, so that others on the machine count less.
"""

import argparse
import json
import multiprocessing
import resource
import statistics
import time
from typing import NamedTuple

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from benchmarks.runs import forever
from neuralsde.cli import CONFIGS
from neuralsde.datamodules.batches import TrialDataModule, TrialDataset
from neuralsde.datamodules.trials import DataSpec, TrialData, Trials
from neuralsde.training.fit import build_module, fill_in_sizes, start_at_mean_rates


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


def case(dataset: str, bin_ms: int, steps: int, threads: int, overrides: list[str]) -> dict[str, object]:
    """One line."""
    torch.set_num_threads(threads)
    config, shape = recipe(dataset, bin_ms, overrides), SHAPES[dataset]
    data = MadeUp(shape, spec_of(config.data, shape), config.data.batch_size, config.data.eval_batch_size)
    fill_in_sizes(config, data.spec)
    data.setup()
    torch.manual_seed(0)
    module = build_module(config, data.spec)
    start_at_mean_rates(module, data)
    optimizer, batches, times = module.make_optimizer(module.parameter_groups()), forever(data), []
    for _ in range(steps + 1):
        begin = time.process_time()
        optimizer.zero_grad()
        module.loss(next(batches)).loss.total.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), config.trainer.gradient_clip_val)
        optimizer.step()
        times.append(time.process_time() - begin)
    step_s = statistics.median(times[1:])
    validation_s = validated(module, data)
    per_epoch = -(-shape.train // config.data.batch_size)
    validations = config.training.steps / per_epoch / config.trainer.check_val_every_n_epoch
    return {
        "dataset": dataset, "bin_ms": bin_ms, "trials": shape.train, "bins": [data.spec.observed_bins, data.spec.forward_bins],
        "units": [shape.heldin, shape.heldout], "batch": config.data.batch_size, "steps": config.training.steps,
        "step_ms": round(1000 * step_s), "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "hours": round((config.training.steps * step_s + validations * validation_s) / 3600 / threads, 2),
    }  # fmt: skip


def validated(module: torch.nn.Module, data: TrialDataModule) -> float:
    """Seconds of a validation, from its first batch."""
    module.eval()
    begin = time.process_time()
    batch = next(iter(data.predict_loader(TrialDataset(data.data.eval, data.spec))))
    with torch.no_grad():
        module(batch, module.val_samples)  # pyright: ignore[reportArgumentType]
    return (time.process_time() - begin) * len(data.data.eval) / len(batch.values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--bins_ms", type=int, nargs="+", default=[5, 20])
    parser.add_argument("--steps", type=int, default=3, help="to measure")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    for dataset in options.datasets:
        for bin_ms in options.bins_ms:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                line = pool.apply(case, (dataset, bin_ms, options.steps, options.threads, options.overrides))
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
