"""What fractional noise costs over Brownian noise, per training step.

    python -m benchmarks.fractional_cost [--dynamics langevin_type …] [--rounds 15] [WORD …]

`model=latent_sde data=lorenz` (64 trials of 50 bins, 8 latents) unless other words of a command line are given: forward,
backward and optimiser, Brownian and fractional noise of five processes with a learned index taking turns. One thread.

Prints one JSON object per dynamics and kind: `brownian_ms`, `fractional_ms` (medians), `ratio` (median of the turns' ratios).
"""

import argparse
import json
import statistics
import time

import torch
from hydra import compose, initialize_config_dir

from neuralsde.cli import CONFIGS
from neuralsde.datamodules.batches import TrialBatch
from neuralsde.training.build import instantiate_part
from neuralsde.training.fit import build_module, fill_in_sizes
from neuralsde.training.module import LatentDynamics

FAMILIES = ["langevin_type", "ornstein_uhlenbeck", "geometric", "linear_noise", "neural", "underdamped_langevin"]


def prepared(words: list[str]) -> tuple[LatentDynamics, TrialBatch]:
    """A model at its start, and a batch of its data."""
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        config = compose("train", overrides=["model=latent_sde", "run_dir=unused", *words])
    data = instantiate_part(config, "data")
    fill_in_sizes(config, data.spec)
    data.setup()
    module = build_module(config, data.spec)
    type(module).current_epoch = property(lambda _: 0)  # without a trainer
    return module, next(iter(data.train_dataloader()))


def step_ms(module: LatentDynamics, batch: TrialBatch, optimizer: torch.optim.Optimizer) -> float:
    """One training step, in milliseconds."""
    started = time.perf_counter()
    loss = module.loss(batch).loss.total
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return 1e3 * (time.perf_counter() - started)


def compared(dynamics: str, kind: str, rounds: int, words: list[str]) -> dict[str, str | float]:
    """Both noises in turns, after two steps of each to warm up."""
    chosen = [f"model/dynamics={dynamics}", *words]
    sides = [prepared(chosen), prepared([*chosen, "model/noise=fractional", f"model.noise.kind={kind}"])]
    runs = [(module, batch, torch.optim.AdamW(module.parameters(), 1e-4)) for module, batch in sides]
    turns = [[step_ms(*run) for run in runs] for _ in range(rounds + 2)][2:]
    brownian, fractional = zip(*turns, strict=True)
    return {
        "dynamics": dynamics, "kind": kind, "brownian_ms": round(statistics.median(brownian), 1),
        "fractional_ms": round(statistics.median(fractional), 1),
        "ratio": round(statistics.median(b / a for a, b in turns), 2),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dynamics", nargs="+", default=FAMILIES)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("words", nargs="*", default=["data=lorenz"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for dynamics in arguments.dynamics:
        for kind in ("type_i", "type_ii"):
            print(json.dumps(compared(dynamics, kind, arguments.rounds, arguments.words)), flush=True)


if __name__ == "__main__":
    main()
