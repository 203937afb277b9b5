"""Bridges of fractional noise by a learned control, beside exact Gaussian conditioning.

    python -m benchmarks.fractional_bridge [--hurst .1 .3 .5 .7 .9] [--steps 600]

`experiment=fractional/bridge`: paths from 0 are seen once more, at t = 2 with noise of 0.1. For each index H a control is
learned by the variational bound on 512 trials; then, on 256 others, the bound is held against the exact log-evidence of the
model that was learned (a Gaussian of two numbers), and the deviation of the sampled bridges at a quarter, half and three
quarters of their time against that of exact fractional Brownian motion, conditioned likewise.

Prints one JSON object a line: `hurst`, `log_evidence` and `bound` (nats per trial), `gap`, `std`, `exact_std`, `approximation`
(relative mean squared error of the five processes), `train_s`.
"""

import argparse
import json
import math
import time
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from torch import Tensor

from neuralsde.cli import CONFIGS
from neuralsde.datamodules.batches import TrialBatch, TrialDataModule
from neuralsde.inference import Estimator, LatentSDE
from neuralsde.likelihoods import Gaussian
from neuralsde.noise import FractionalBrownian
from neuralsde.noise.fractional_weights import Fractional, covariance, exact_covariance, relative_error
from neuralsde.training.build import instantiate_part
from neuralsde.training.fit import build_module, fill_in_sizes
from neuralsde.training.module import LatentDynamics

SAMPLES = 64


def trained(hurst: float, steps: int) -> tuple[LatentDynamics, TrialDataModule]:
    """The experiment's model, by plain Adam with a cosine; the prior stays as it is."""
    words = ["experiment=fractional/bridge", "run_dir=unused", f"model.noise.hurst={hurst}"]
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        config = compose("train", overrides=words)
    data = instantiate_part(config, "data")
    fill_in_sizes(config, data.spec)
    data.setup()
    torch.manual_seed(0)
    module = build_module(config, data.spec)
    type(module).current_epoch = property(lambda _: 0)  # without a trainer
    likelihood, dynamics = module.model.likelihood, module.model.dynamics
    assert isinstance(likelihood, Gaussian)
    with torch.no_grad():  # the prior of the data, so that the control alone is learned
        likelihood.readout.weight.fill_(1.0), likelihood.readout.bias.zero_()
    for part in (likelihood, dynamics.sde):
        part.requires_grad_(False)
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, config.optimizer.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    step = 0
    while step < steps:
        for batch in data.train_dataloader():
            loss = module.loss(batch).loss.total
            optimizer.zero_grad()
            loss.backward()
            optimizer.step(), schedule.step()
            step += 1
    return module.eval(), data


@torch.no_grad()
def bound_and_evidence(module: LatentDynamics, batch: TrialBatch) -> tuple[float, float]:
    """Nats per trial: of samples one by one, and the exact one under the start and the noise of the model."""
    model = module.model
    dynamics, likelihood = model.dynamics, model.likelihood
    assert isinstance(dynamics, LatentSDE)
    assert isinstance(likelihood, Gaussian)
    output = model(batch.values, batch.seen, batch.times, SAMPLES, Estimator.ANALYTIC)
    log_prob = likelihood.log_prob(output.parameter, batch.targets.repeat(SAMPLES, 1, 1))
    bound = log_prob.masked_fill(~batch.known.repeat(SAMPLES, 1, 1), 0.0).sum((1, 2)) - sum(output.kl.values())
    noise = dynamics.noise
    assert isinstance(noise, FractionalBrownian)
    end = batch.times[:1, -1].double()
    moved = covariance(noise.kind, noise.weights()[0] / noise.unit, noise.rates, end, end)[0]
    start, error = dynamics.prior_log_var.exp()[0].double(), likelihood.noise_std()[0].double() ** 2
    joint = torch.tensor([[start + error, start], [start, start + moved + error]])
    law = torch.distributions.MultivariateNormal(dynamics.prior_mean.double().expand(2), joint)
    return bound.mean().item(), law.log_prob(batch.targets[:, [0, -1], 0].double()).mean().item()


@torch.no_grad()
def deviations(module: LatentDynamics, batch: TrialBatch) -> Tensor:
    """Of bridges around their trial's mean, at a quarter, half and three quarters of the time."""
    few = slice(0, 64)
    states = module.model(batch.values[few], batch.seen[few], batch.times[few], 256).latents
    quarters = (states.shape[1] - 1) // 4 * torch.arange(1, 4)
    return states[:, quarters, 0].unflatten(0, (256, -1)).std(0).square().mean(0).sqrt()


def exact_deviations(module: LatentDynamics, hurst: float) -> Tensor:
    """Of exact fractional Brownian motion from the model's start, seen at both ends."""
    dynamics, likelihood = module.model.dynamics, module.model.likelihood
    assert isinstance(likelihood, Gaussian)
    t = 0.04 * torch.tensor([0, 12, 24, 36, 50], dtype=torch.float64)  # the start, the bins of `deviations`, the end
    k = exact_covariance(Fractional.TYPE_I, torch.tensor(hurst), t[:, None], t[None])
    k = k + dynamics.prior_log_var.exp()[0].double()
    seen = torch.tensor([0, 4])
    noisy = k[seen][:, seen] + likelihood.noise_std()[0].double() ** 2 * torch.eye(2)
    return (k - k[:, seen] @ torch.linalg.solve(noisy, k[seen])).diagonal()[1:4].detach().sqrt()


def row(hurst: float, steps: int) -> dict[str, Any]:
    """All that is printed of one index."""
    started = time.monotonic()
    module, data = trained(hurst, steps)
    seconds = time.monotonic() - started
    batch = next(iter(data.val_dataloader()))
    bound, evidence = bound_and_evidence(module, batch)
    noise = module.model.dynamics.noise
    assert isinstance(noise, FractionalBrownian)
    error = relative_error(torch.tensor([hurst]), noise.rates, noise.horizon, noise.kind)
    return {
        "hurst": hurst, "log_evidence": evidence, "bound": bound, "gap": evidence - bound,
        "std": deviations(module, batch).tolist(), "exact_std": exact_deviations(module, hurst).tolist(),
        "approximation": error.item(), "train_s": seconds,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hurst", type=float, nargs="+", default=[0.1, 0.3, 0.5, 0.7, 0.9])
    parser.add_argument("--steps", type=int, default=600)
    arguments = parser.parse_args()
    for hurst in arguments.hurst:
        print(json.dumps(rounded(row(hurst, arguments.steps))), flush=True)


def rounded(values: dict[str, Any]) -> dict[str, Any]:
    """Four significant digits."""

    def short(value: Any) -> Any:
        if isinstance(value, list):
            return [short(v) for v in value]
        return value if value == 0 or not math.isfinite(value) else float(f"{value:.4g}")

    return {key: short(value) for key, value in values.items()}


if __name__ == "__main__":
    main()
