"""The Hurst index of population activity in real recordings, with an error bar.

    python -m benchmarks.hurst_recordings --neural FOLDER [--groups 8]

FOLDER holds the recordings: `reach8/` and `plan8/` in the NLB layout, `stevenson_196units_50ms.npz` and
`peyrache_headdirection_19cells_10ms.npz` (wake), these cut into trials of 5 s. Of each, square roots of counts, less the mean
of their condition in each bin (of all trials where there are no conditions); of these the first principal component, in units
of its standard deviation. At most 300 trials, spread over the recording; bins of 20 or 50 ms. The model is a fractional
Ornstein–Uhlenbeck process seen through white noise, fitted by maximum likelihood (`experiment=fractional/fou`, the bound of
which is the log-evidence): rate, scale, noise and H.

The error bar is a jackknife's over groups of trials. Beside it the same process with H held at 1/2 (`gain`: by how many nats
per trial a free H explains more) and what is found (`surrogate`, mean and deviation of three) in as many made-up trials from
that process: 1/2, if all is well.

Prints one JSON object a line: `recording`, `trials`, `bins`, `bin_s`, `hurst`, `standard_error`, `rate_per_s`, `noise_share`
(of the variance), `gain`, `surrogate`, `surrogate_sd`, `seconds`.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from torch import Tensor

from neuralsde.cli import CONFIGS
from neuralsde.datamodules.batches import TrialBatch, stack_targets
from neuralsde.datamodules.trials import DataSpec
from neuralsde.likelihoods import Gaussian
from neuralsde.training.build import instantiate_part
from neuralsde.training.fit import build_module, fill_in_sizes
from neuralsde.training.module import LatentDynamics

PIECE_S = 5.0
STEPS, WARM_UP = 4, 60
MOST_TRIALS, SURROGATES = 300, 3


class Fit(NamedTuple):
    """What maximum likelihood finds in paths, (trial, bin): nats per trial, H, rate per second, and standard deviations."""

    log_evidence: float
    hurst: float
    rate: float
    sigma: float
    noise: float


def composed(*words: str) -> Any:
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        return compose("train", overrides=["run_dir=unused", *words])


def of_nwb(name: str, folder: Path) -> tuple[np.ndarray, float]:
    """The first component of an NLB recording, and its bin width."""
    words = [f"data={name}", f"data.path={folder}", "data.cache=false", "data.bin_width_s=0.02"]
    data = instantiate_part(composed(*words), "data")
    data.setup()
    recording = data.data
    counts = np.sqrt(stack_targets(recording.train, recording.spec))
    return first_component(counts, recording.train.condition), recording.spec.bin_width_s


def of_continuous(counts: np.ndarray, bin_s: float) -> tuple[np.ndarray, float]:
    """The first component of pieces of a continuous recording, (bin, unit)."""
    bins = round(PIECE_S / bin_s)
    pieces = np.sqrt(counts[: len(counts) // bins * bins].astype(np.float64)).reshape(-1, bins, counts.shape[1])
    return first_component(pieces - pieces.mean((0, 1)), None, centred=True), bin_s


def first_component(values: np.ndarray, condition: np.ndarray | None, centred: bool = False) -> np.ndarray:
    """Scores (trial, bin) of unit variance; a bin or unit that is not known leaves its unit or trial out."""
    known = np.isfinite(values).all((0, 1))
    values = values[..., known].astype(np.float64)
    if not centred:
        groups = np.zeros(len(values), int) if condition is None else condition
        for group in np.unique(groups):
            values[groups == group] -= values[groups == group].mean(0)
    flat = values.reshape(-1, values.shape[2])
    scores = values @ np.linalg.eigh(np.cov(flat.T))[1][:, -1]
    return scores / scores.std()


def module_for(bins: int, bin_s: float, learn: bool) -> LatentDynamics:
    """The experiment's model for paths of that many bins, in units of their standard deviation."""
    config = composed(
        "experiment=fractional/fou", "model.likelihood.noise_std=0.6", "model.dynamics.sde.deviation=0.8",
        "model.dynamics.prior_std=0.8", "model.dynamics.substeps=1", f"model.noise.learn={str(learn).lower()}",
        f"model.dynamics.sde.rates=[{2 / (bins * bin_s)},{2 / (bins * bin_s)}]",
    )  # fmt: skip
    fill_in_sizes(config, DataSpec(1, 1, bins, 0, bin_s, kind="real"))
    torch.manual_seed(0)
    module = build_module(config, DataSpec(1, 1, bins, 0, bin_s, kind="real"))
    type(module).current_epoch = property(lambda _: 0)  # without a trainer
    likelihood = module.model.likelihood
    assert isinstance(likelihood, Gaussian)
    with torch.no_grad():
        likelihood.readout.weight.fill_(1.0)
    likelihood.readout.weight.requires_grad_(False)  # scale is sigma's
    return module


def fitted(paths: np.ndarray, bin_s: float, learn: bool = True) -> Fit:
    """Maximum likelihood."""
    values = torch.from_numpy(paths.astype(np.float32))[..., None]
    seen, times = torch.ones_like(values, dtype=torch.bool), bin_s * torch.arange(values.shape[1])[None]
    batch = TrialBatch(values, seen, times, values, seen, torch.arange(len(values)))
    module = module_for(values.shape[1], bin_s, learn)
    optimizer = module.make_optimizer(module.parameter_groups())

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = module.loss(batch).loss.total
        loss.backward()
        return loss

    near = torch.optim.Adam(module.parameters(), 0.05)  # a line search may leap into processes that explode
    for _ in range(WARM_UP):
        closure()
        near.step()
    for _ in range(STEPS):
        optimizer.step(closure)
    with torch.no_grad():
        nats = -module.loss(batch).loss.total.item() * values.shape[1]
    learned, likelihood = module.model.dynamics.learned(), module.model.likelihood
    assert isinstance(likelihood, Gaussian)
    hurst = learned["hurst"][0].item() if learn else 0.5
    return Fit(nats, hurst, learned["rate"][0].item(), learned["sigma"][0].item(), likelihood.noise_std()[0].item())


def surrogate(fit: Fit, shape: tuple[int, int], bin_s: float, seed: int) -> np.ndarray:
    """Trials of the Ornstein–Uhlenbeck process of a fit with H = 1/2, seen through its noise."""
    rng = np.random.default_rng(seed)
    decay, deviation = np.exp(-fit.rate * bin_s), fit.sigma / np.sqrt(2 * fit.rate)
    path = np.empty(shape)
    path[:, 0] = rng.normal(0, deviation, shape[0])
    for n in range(1, shape[1]):
        path[:, n] = decay * path[:, n - 1] + rng.normal(0, deviation * np.sqrt(1 - decay**2), shape[0])
    return path + rng.normal(0, fit.noise, shape)


def row(name: str, paths: np.ndarray, bin_s: float, groups: int) -> dict[str, Any]:
    """All that is printed of one recording."""
    started = time.monotonic()
    paths = paths[np.linspace(0, len(paths) - 1, min(len(paths), MOST_TRIALS)).astype(int)]
    free, held = fitted(paths, bin_s), fitted(paths, bin_s, learn=False)
    parts = np.arange(len(paths)) % groups
    without = np.array([fitted(paths[parts != part], bin_s).hurst for part in range(groups)])
    error = np.sqrt((groups - 1) * without.var())
    made_up = [fitted(surrogate(held, paths.shape, bin_s, seed), bin_s).hurst for seed in range(SURROGATES)]
    numbers = {
        "hurst": free.hurst, "standard_error": error, "rate_per_s": free.rate, "noise_share": free.noise**2,
        "gain": free.log_evidence - held.log_evidence, "surrogate": np.mean(made_up), "surrogate_sd": np.std(made_up, ddof=1),
        "seconds": time.monotonic() - started,
    }  # fmt: skip
    sizes = {"recording": name, "trials": len(paths), "bins": paths.shape[1], "bin_s": bin_s}
    return sizes | {key: round(float(value), 3) for key, value in numbers.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--neural", type=Path, required=True)
    parser.add_argument("--groups", type=int, default=8)
    arguments = parser.parse_args()
    stevenson = np.load(arguments.neural / "stevenson_196units_50ms.npz")
    peyrache = np.load(arguments.neural / "peyrache_headdirection_19cells_10ms.npz")
    wake = peyrache["wake"][: len(peyrache["wake"]) // 5 * 5].reshape(-1, 5, 19).sum(1)  # bins of 50 ms
    recordings = {
        "reach8": of_nwb("reach8", arguments.neural / "reach8"),
        "plan8": of_nwb("plan8", arguments.neural / "plan8"),
        "stevenson": of_continuous(stevenson["spikes"], 0.05),
        "head direction": of_continuous(wake, 0.05),
    }
    for name, (paths, bin_s) in recordings.items():
        print(json.dumps(row(name, paths, bin_s, arguments.groups)), flush=True)


if __name__ == "__main__":
    main()
