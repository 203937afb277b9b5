"""The stable families under a stretched time axis, and under points that go missing at test time.

    python -m benchmarks.stability [--steps 2000] [--dynamics langevin_type linear_noise geometric]

Each family trains from random initialisation on `data=double_well` (series of 40 bins): as configured; with the equation's
time stretched tenfold at an unchanged number of solver steps, so that every step is ten times as long; and as configured with
half of the points hidden from the encoder at random in every step of training (`keep` 0.5). Then 30, 50 and 70 % of the points
of the evaluation series are hidden, and the model is scored on the true signal there, beside linear interpolation. With `keep`
1 it has never seen a gap before.

Prints one JSON object a line: `dynamics`, `stretch`, `keep`, `steps`, `finite` (all losses and parameters), `elbo` (per
observation, on complete evaluation series), `largest` and `smallest` (of the latent paths), `missing_rmse` by share hidden,
and the same of `linear_interpolation`.
"""

import argparse
import json
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir

from neuralsde.cli import CONFIGS
from neuralsde.datamodules.batches import TrialBatch
from neuralsde.datamodules.simulated import SimulatedData
from neuralsde.evaluation.baselines import baseline_table
from neuralsde.evaluation.predict import predict
from neuralsde.evaluation.scores import score
from neuralsde.training.build import instantiate_part
from neuralsde.training.fit import build_module, fill_in_sizes
from neuralsde.training.module import LatentDynamics

FAMILIES = ("langevin_type", "linear_noise", "geometric")
HIDDEN = (0.3, 0.5, 0.7)
MODEL_TIME = 4.0  # of the configs
SETTINGS = ((1.0, 1.0), (10.0, 1.0), (1.0, 0.5))  # stretch, keep


def prepared(dynamics: str, stretch: float, *overrides: str) -> tuple[LatentDynamics, SimulatedData]:
    """A model of the family at its start, and its data."""
    words = [
        "model=latent_sde",
        f"model/dynamics={dynamics}",
        "model/likelihood=gaussian",
        "data=double_well",
        "run_dir=unused",
    ]
    words += ["data.observed_bins=40", "data.forward_bins=0", "training.coordinated_dropout.pass_probability=1.0"]
    words += [f"model.dynamics.model_time={MODEL_TIME * stretch}", *overrides]
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        config = compose("train", overrides=words)
    data = instantiate_part(config, "data")
    fill_in_sizes(config, data.spec)
    data.setup()
    torch.manual_seed(config.seed)
    return build_module(config, data.spec), data


def train(module: LatentDynamics, data: SimulatedData, steps: int) -> bool:
    """Optimise; whether every loss and, in the end, every parameter is finite."""
    optimizer, finite = torch.optim.Adam(module.model.parameters(), 4e-3), True
    batches: list[TrialBatch] = []
    for step in range(steps):
        if not batches:
            batches = list(data.train_dataloader())
        loss = module.loss(batches.pop()).loss.total
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.model.parameters(), 5.0)
        for group in optimizer.param_groups:
            group["lr"] = 4e-3 * 0.5 * (1 + np.cos(np.pi * step / steps))
        optimizer.step()
        finite = finite and bool(loss.isfinite())
    return finite and all(bool(p.isfinite().all()) for p in module.model.parameters())


def bound(module: LatentDynamics, batch: TrialBatch, samples: int = 16) -> float:
    """The importance-weighted bound per observation."""
    with torch.no_grad():
        output = module(batch, samples, module.tightest)
        log_prob = module.model.likelihood.log_prob(output.parameter, batch.targets.repeat(samples, 1, 1))
        log_lik = log_prob.masked_fill(~batch.known.repeat(samples, 1, 1), 0.0).sum((1, 2)).unflatten(0, (samples, -1))
        return float(module.bound(log_lik, output.kl, module.tightest) / batch.known.sum())


def shifted_scores(module: LatentDynamics, share: float) -> tuple[float, float]:
    """Error at hidden points with `share` of them hidden: the model's and linear interpolation's."""
    _, data = prepared("langevin_type", 1.0, f"data.eval_drop={share}")
    rates = predict(module, data.data.eval, n_samples=16).rates
    ours = score(data.data, None, rates)["missing_rmse"]
    return ours, baseline_table(data.data)["linear_interpolation"]["missing_rmse"]


def run(dynamics: str, stretch: float, keep: float, steps: int) -> dict[str, Any]:
    """Train and score one family; see the module's docstring for the fields."""
    module, data = prepared(dynamics, stretch, f"training.coordinated_dropout.keep_probability={keep}")
    finite = train(module.train(), data, steps)
    module.eval()
    whole = data.eval_set.__getitems__(list(range(len(data.eval_set))))
    with torch.no_grad():
        latents = module(whole).latents
    shifts = {str(share): shifted_scores(module, share) for share in HIDDEN}
    return {
        "dynamics": dynamics, "stretch": stretch, "keep": keep, "steps": steps, "finite": finite,
        "elbo": round(bound(module, whole), 4),
        "largest": round(latents.abs().max().item(), 3), "smallest": round(latents.min().item(), 6),
        "missing_rmse": {share: round(pair[0], 4) for share, pair in shifts.items()},
        "linear_interpolation": {share: round(pair[1], 4) for share, pair in shifts.items()},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--dynamics", nargs="*", default=list(FAMILIES))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for dynamics in arguments.dynamics:
        for stretch, keep in SETTINGS:
            print(json.dumps(run(dynamics, stretch, keep, arguments.steps)), flush=True)


if __name__ == "__main__":
    main()
