"""Two continuous recordings: a latent SDE learned without simulating, beside the solver's ELBO, a GRU and smoothing.

    python -m benchmarks.continuous_recordings --path FOLDER [--recordings stevenson head_direction] [--steps 1500]
        [--models matching solver gru smoothing] [--seeds 0] [OVERRIDE …]

Of either recording a part of the time is trained on, in windows drawn anew, and another (validation) is scored: bits per spike
of units that no model observes, and what is decoded from rates by ridge regression, the hand's velocity or the head's direction
(`angle_error_deg`; chance is 90). `matching` and `solver` are `model=langevinflow` (whose decoder reads the encoder beside the
latent path), under `objective=sde_matching` and `objective=elbo`. `gru` is the same encoder and read-out without a latent path.
All share optimiser, schedule, hidden inputs and number of steps, and the divergence weighs 0.1 from the start; the average of
the last weights is scored.

Prints one JSON object a line: `recording`, `model`, `seed`, `seconds` (of training, on one thread), and the scores.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from benchmarks.runs import Start, forever, started
from neuralsde.datamodules.batches import TrialBatch, TrialDataModule, TrialDataset
from neuralsde.datamodules.trials import Trials
from neuralsde.evaluation.baselines import baseline_table
from neuralsde.evaluation.predict import predict
from neuralsde.evaluation.scores import score
from neuralsde.training.build import instantiate_part
from neuralsde.training.fit import ema_with_warmup
from neuralsde.training.module import LatentDynamics

FILES = {"stevenson": "stevenson_196units_50ms.npz", "head_direction": "peyrache_headdirection_19cells_10ms.npz"}
OBJECTIVES = {"matching": "sde_matching", "solver": "elbo", "gru": "elbo"}
CLIP, DECAY, SAMPLES = 5.0, 0.99, 16


class GRU(nn.Module):
    """The encoder and read-out of a latent model, without a latent path between them."""

    def __init__(self, module: LatentDynamics):
        super().__init__()
        likelihood = module.model.likelihood
        self.encoder = module.model.encoder
        self.readout = nn.Linear(self.encoder.output_size, module.spec.target_dim)  # pyright: ignore[reportArgumentType]
        with torch.no_grad():
            self.readout.bias.copy_(likelihood.readout.bias)  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]

    def forward(self, values: Tensor, seen: Tensor, times: Tensor) -> Tensor:
        return self.readout(self.encoder(values, seen, times))

    def loss(self, module: LatentDynamics, batch: TrialBatch) -> Tensor:
        """The latent model's own, but for the divergence."""
        inputs, seen, learned, _ = module.mask(batch)
        log_prob = module.model.likelihood.log_prob(self(inputs, seen, batch.times), batch.targets)
        return -(log_prob * module.weights)[learned & batch.known].mean()

    def rates(self, module: LatentDynamics, data: TrialDataModule) -> list[np.ndarray]:
        """Of training and evaluation trials."""
        return [self.rates_of(module, data, trials) for trials in (data.data.train, data.data.eval)]

    @torch.no_grad()
    def rates_of(self, module: LatentDynamics, data: TrialDataModule, trials: Trials) -> np.ndarray:
        """Of trials, (trial, bin, unit), all in one batch."""
        self.eval()
        batch = next(iter(data.predict_loader(TrialDataset(trials, data.spec))))
        return module.model.likelihood.mean(self(batch.values, batch.seen, batch.times)).numpy()


def start(recording: str, model: str, folder: Path, seed: int, overrides: list[str]) -> Start:
    """A run before its first step."""
    words = [f"data={recording}", f"data.path={folder / FILES[recording]}", "data.eval_batch_size=100000"]
    return started(
        [*words, "model=langevinflow", f"objective={OBJECTIVES[model]}", "objective.kl_ramp_epochs=0", *overrides], seed
    )


def fit(net: nn.Module, loss: Callable[[TrialBatch], Tensor], data: TrialDataModule, steps: int, config: DictConfig) -> float:
    """Train `net`, leave the moving average of its weights in it, and return the seconds that it took."""
    parameters = [p for p in net.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1]},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = instantiate_part(config, "optimizer")(groups)
    schedule = instantiate_part(config, "schedule")(optimizer, total_steps=steps)["scheduler"]
    averaged, average = [p.detach().clone() for p in parameters], ema_with_warmup(DECAY)
    begin, batches = time.process_time(), forever(data)
    for step in range(steps):
        optimizer.zero_grad()
        loss(next(batches)).backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step(), schedule.step()
        averaged = [average(a, p.detach(), step) for a, p in zip(averaged, parameters, strict=True)]
    for parameter, mean in zip(parameters, averaged, strict=True):
        parameter.data.copy_(mean)
    return time.process_time() - begin


def run(recording: str, model: str, folder: Path, seed: int, steps: int, overrides: list[str]) -> dict[str, float]:
    """Train one model and score it."""
    config, module, data = start(recording, model, folder, seed, overrides)
    if model == "gru":
        net = GRU(module)
        seconds = fit(net, lambda batch: net.loss(module, batch), data, steps, config)
        rates = net.rates(module, data)
    else:
        seconds = fit(module, lambda batch: module.loss(batch).loss.total, data, steps, config)
        rates = [predict(module.eval(), trials, n_samples=SAMPLES).rates for trials in (data.data.train, data.data.eval)]
    return {"seconds": round(seconds, 1), **score(data.data, *rates)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", required=True, type=Path, help="folder of the recordings")
    parser.add_argument("--recordings", nargs="+", default=list(FILES), choices=list(FILES))
    parser.add_argument("--models", nargs="+", default=[*OBJECTIVES, "smoothing"], choices=[*OBJECTIVES, "smoothing"])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for recording in options.recordings:
        for seed in options.seeds:
            for model in options.models:
                if model == "smoothing":
                    data = start(recording, "gru", options.path, seed, options.overrides).data
                    found = baseline_table(data.data)["smoothing"]
                else:
                    found = run(recording, model, options.path, seed, options.steps, options.overrides)
                line = {key: round(value, 4) for key, value in found.items()}
                print(json.dumps({"recording": recording, "model": model, "seed": seed, **line}), flush=True)


if __name__ == "__main__":
    main()
