"""What share of a training step waits for data, at MC_Maze sizes: python -m benchmarks.loading [STEPS]

LangevinFlow as `model=langevinflow` composes it, 2,295 trials of 140 + 40 bins of 5 ms, 137 + 45 units, batches of 64; spikes
are drawn, since only sizes matter here. One line for the trials in memory, two for those streamed from a file that holds them
uncompressed, with no process that reads ahead and with one. A step is forward, backward and optimiser; a wait is
from asking for a batch to having it; `waiting_cpu` is the same share of the process's own seconds, which other programs do not
stretch.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_dir

from neuralsde.cli import CONFIGS
from neuralsde.datamodules.batches import TrialDataModule
from neuralsde.datamodules.streamed import TrialFile, TrialFileWriter
from neuralsde.datamodules.trials import DataSpec, TrialData, Trials
from neuralsde.training.fit import build_module, fill_in_sizes

SPEC = DataSpec(observed_dim=137, target_dim=182, observed_bins=140, forward_bins=40, bin_width_s=0.005)
TRIALS, BATCH, WARM_UP = 2295, 64, 2
RATE_HZ = 7.0


class InMemory(TrialDataModule):
    """Drawn spikes, all in memory."""

    def read(self) -> TrialData:
        rng, p = np.random.default_rng(0), RATE_HZ * SPEC.bin_width_s
        shapes = {"heldin": (140, 137), "heldout": (140, 45), "heldin_forward": (40, 137), "heldout_forward": (40, 45)}
        arrays = {name: (rng.random((TRIALS, *shape), np.float32) < p).astype(np.float32) for name, shape in shapes.items()}
        train = Trials(**arrays)
        return TrialData("drawn", SPEC, train, train[:BATCH])


def waits(data: TrialDataModule, steps: int) -> dict[str, float]:
    """Mean wait and step, in seconds."""
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        config = compose("train", overrides=["model=langevinflow", "data=nlb_mc_maze", "run_dir=unused"])
    data.setup()
    fill_in_sizes(config, data.spec)
    torch.manual_seed(0)
    module = build_module(config, data.spec)
    optimizer = module.make_optimizer(module.parameter_groups())
    loader, times = iter(data.train_dataloader()), []
    for _ in range(WARM_UP + steps):
        begin = now()
        batch = next(loader)
        got = now()
        optimizer.zero_grad()
        module.loss(batch).loss.total.backward()
        optimizer.step()
        times.append((got - begin, now() - got))
    wait, step = np.mean(times[WARM_UP:], axis=0)
    wall, cpu = (wait / (wait + step)).tolist()
    return {"wait_s": round(wait[0], 5), "step_s": round(step[0], 4), "waiting": round(wall, 5), "waiting_cpu": round(cpu, 5)}


def now() -> np.ndarray:
    """Seconds of the clock, and of this process's own work."""
    return np.array([time.perf_counter(), time.process_time()])


def main(steps: int) -> None:
    """Print one line for each way."""
    memory = InMemory(BATCH)
    print(json.dumps({"path": "in memory", "threads": torch.get_num_threads(), **waits(memory, steps)}), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trials.h5"
        with TrialFileWriter(path, memory.data, TRIALS, BATCH) as file:
            file.append("train", memory.data.train)
            file.append("eval", memory.data.eval)
        for workers in (0, 1):
            found = waits(TrialFile(str(path), BATCH, scored_trials=BATCH, num_workers=workers), steps)
            facts = {"threads": torch.get_num_threads(), "bytes": path.stat().st_size, "readers_ahead": workers}
            print(json.dumps({"path": "streamed", **facts, **found}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
