"""The Hurst index of exact fractional Brownian motion (Davies–Harte), recovered by a trained model and by standard estimators.

    python -m benchmarks.hurst_recovery [--hurst .2 .35 .5 .65 .8] [--seeds 1]

For each index 64 paths of 256 points on [0, 1.02] s (`data=fractional_brownian`, without observation noise), and on them
`experiment=fractional/hurst_recovery` with noise of type I and of type II, whose bound is the log-evidence, so that training is
maximum likelihood; beside it the estimators of `neuralsde.metrics`: rescaled range, wavelet, quadratic variations, and the
exact likelihood of fractional Gaussian noise, which no estimator can beat.

Prints one JSON object a line: `hurst`, `seed`, `estimator`, `estimate`, `error`, `standard_error` (none for the models),
`seconds`.
"""

import argparse
import json
import time
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from torch import Tensor

from neuralsde import metrics
from neuralsde.cli import CONFIGS
from neuralsde.datamodules.batches import TrialDataModule
from neuralsde.training.build import instantiate_part
from neuralsde.training.fit import build_module, fill_in_sizes, start
from neuralsde.training.module import LatentDynamics

STANDARD = {
    "rescaled_range": metrics.hurst_rescaled_range,
    "wavelet": metrics.hurst_wavelet,
    "variations": metrics.hurst_variations,
    "exact_likelihood": metrics.hurst_likelihood,
}


def prepared(*words: str) -> tuple[LatentDynamics, TrialDataModule]:
    """The experiment's model at its start, and its data."""
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        config = compose("train", overrides=["experiment=fractional/hurst_recovery", "run_dir=unused", *words])
    data = instantiate_part(config, "data")
    fill_in_sizes(config, data.spec)
    data.setup()
    torch.manual_seed(config.seed)
    module = build_module(config, data.spec)
    start(module, data, config)
    return module, data


def maximise(module: LatentDynamics, data: TrialDataModule, steps: int = 8) -> None:
    """Training steps of the experiment's optimiser on the one batch of all paths."""
    batch = next(iter(data.train_dataloader()))
    optimizer = module.make_optimizer(module.parameter_groups())
    type(module).current_epoch = property(lambda _: 0)  # without a trainer

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = module.loss(batch).loss.total
        loss.backward()
        return loss

    for _ in range(steps):
        optimizer.step(closure)


def rows(hurst: float, seed: int) -> list[dict[str, Any]]:
    """All estimates from the paths of one seed."""
    words = [f"data.system.hurst={hurst}", f"data.data_seed={seed}", "data.observation.noise_std=0.0"]
    found: list[dict[str, Any]] = []
    for kind in ("type_i", "type_ii"):
        started = time.monotonic()
        grid = "[1.0e-3,1.0e3]" if kind == "type_i" else "[1.0e-2,3.0e3]"
        module, data = prepared(*words, f"model.noise.kind={kind}", f"model.noise.range={grid}")
        maximise(module, data)
        estimate = module.model.dynamics.learned()["hurst"][0].item()
        found.append({"estimator": f"model_{kind}", "estimate": estimate, "seconds": time.monotonic() - started})
    paths = data.data.train.heldin[..., 0].astype(np.float64)
    for name, estimator in STANDARD.items():
        started = time.monotonic()
        fit = estimator(paths)
        found.append({"estimator": name, "estimate": fit.hurst, "standard_error": fit.standard_error,
                      "seconds": time.monotonic() - started})  # fmt: skip
    return [{"hurst": hurst, "seed": seed, "error": row["estimate"] - hurst, **row} for row in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hurst", type=float, nargs="+", default=[0.2, 0.35, 0.5, 0.65, 0.8])
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    for seed in range(arguments.seeds):
        for hurst in arguments.hurst:
            for row in rows(hurst, seed):
                print(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}), flush=True)


if __name__ == "__main__":
    main()
