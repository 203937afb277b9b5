"""The same data under each dynamics.

    python -m benchmarks.dynamics_gallery [--steps 250] [--figure docs/figures/dynamics_gallery.png] [OVERRIDE …]

Data: `data=double_well` in bins of 60 ms, 50 observed and 20 to forecast, with noise of 0.1 of the states' spread and a gap
of 14 bins hidden in each trial. Each of `configs/model/dynamics` gets four states (underdamped: four positions) and the same
encoder, linear decoder, Gaussian likelihood, optimiser and number of steps; training reads no value of a gap or beyond.
The run is short, so the learning rate is 1e-2 (the default of these data) and the divergence weighs fully from the first step.

Prints one JSON object per dynamics: `elbo`, the bound of 39 samples in nats per seen value of the evaluation trials;
`gap_rmse` and `forward_rmse` of the samples' mean, and `gap_crps` and `forward_crps` of the samples, against the signal
without noise; `coverage`, the share of the forward signal between the second least and the second greatest of 39 samples, .9
where samples and signal have the same law; `noise`, the observations' as learned; `train_s`. First two references: linear
interpolation in the gap with persistence ahead; and the equation that made the data, whose posterior is that of a Markov
chain on a grid and whose `elbo` is the log-evidence: nothing can be better but by chance.
"""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from omegaconf import DictConfig
from torch import Tensor

from neuralsde.cli import CONFIGS
from neuralsde.datamodules.batches import TrialDataModule
from neuralsde.datamodules.trials import DataSpec
from neuralsde.inference import Estimator
from neuralsde.metrics import coverage, crps, rmse
from neuralsde.plots.style import ACCENT, CATEGORIES, MEDIUM, MODEL, TRUTH, new_figure, tidy
from neuralsde.training.build import instantiate_part
from neuralsde.training.fit import build_module, fill_in_sizes, start
from neuralsde.training.module import LatentDynamics

TRUE = "the true equation"
TITLES = {
    TRUE: r"$dz = 4z(1 - z^2)\,dt + dW$",
    "langevin_type": r"$dz = \gamma(z)\,dt + \sigma(t)\,dW$",
    "neural": r"$dz = f(t, z)\,dt + g(t, z)\,dW$",
    "linear_noise": r"$dz = \gamma(t, z)\,dt + \sigma(t)\,z\,dW$",
    "geometric": r"$dz = \gamma(t, z)\,z\,dt + \sigma(t)\,z\,dW$",
    "ornstein_uhlenbeck": r"$dz = \theta(\mu - z)\,dt + \sigma\,dW$",
    "linear_gaussian": "the same, exact posterior",
    "underdamped_langevin": r"$dv = (-\gamma v - \nabla F(x)/m)\,dt + \rho\,dW$",
    "ode": r"$dz = \gamma(t, z)\,dt$",
}
GAP, SAMPLES, FREE, SHOWN = 14, 39, 512, 4  # bins of a gap; posterior samples; prior paths, and how many of them are drawn
PRIOR = CATEGORIES[2]


LIMITS = -2.4, 2.4


def line(color: str, **look: Any) -> Line2D:
    return Line2D([], [], color=color, **look)


def patch(color: str, alpha: float = 1.0) -> Patch:
    return Patch(color=color, alpha=alpha, lw=0)


KEY = {
    "signal": line(TRUTH, lw=0.8),
    "observed": line(TRUTH, marker=".", ls=""),
    "hidden": patch("#eeeeee"),
    "posterior: mean, 90 % of samples": (patch(MODEL, 0.25), line(MODEL)),
    "the prior goes on: mean, 90 % of samples": (patch(ACCENT, 0.25), line(ACCENT)),
    "free paths of the prior, and where they end": line(PRIOR),
    "where the data's trials end": patch("#cccccc"),
}


class Batch(NamedTuple):
    """Observed bins: values (trial, bin, channel), and which of them the model sees."""

    values: Tensor
    seen: Tensor


class Shown(NamedTuple):
    """The trial in the picture, NaN where not seen, its times and signal, and where the signals of all trials end."""

    trial: int
    times: np.ndarray
    values: np.ndarray
    truth: np.ndarray
    ends: np.ndarray


class Fitted(NamedTuple):
    """Samples of the signal, (sample, trial, bin, channel), in observed and in forward bins, free paths of the prior, the
    bound."""

    posterior: np.ndarray
    forecast: np.ndarray
    free: np.ndarray
    elbo: float


def composed(dynamics: str, steps: int, overrides: list[str]) -> DictConfig:
    """The config of `model=latent_sde` with these dynamics."""
    words = [
        "run_dir=unused", "data=double_well", "data.bin_width_s=0.06", "data.observed_bins=50", "data.batch_size=128",
        "model=latent_sde", "model/likelihood=gaussian", f"model/dynamics={dynamics}",
        "objective.kl_ramp_epochs=0", "optimizer.lr=1e-2",
        f"model.dynamics.latent_size={4 if dynamics != 'underdamped_langevin' else 8}", f"training.steps={steps}",
    ]  # fmt: skip
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        return compose("train", overrides=[*words, *overrides])


def hide(values: Tensor, first: Tensor) -> Batch:
    """Trials whose bins from `first`, (trial,), on are hidden for the length of a gap."""
    bins = torch.arange(values.shape[1])[None]
    seen = ((bins < first[:, None]) | (bins >= first[:, None] + GAP))[..., None].expand_as(values)
    return Batch(values * seen, seen)


def train(config: DictConfig, data: TrialDataModule, steps: int) -> LatentDynamics:
    """The config's model after `steps` steps of the config's optimiser, a gap at a random place in each trial."""
    torch.manual_seed(0)
    module = build_module(config, data.spec)
    start(module, data, config)
    model, objective, values = module.model, module.objective, data.train_set.values
    times = data.train_set.times[:, : values.shape[1]]
    optimizer = module.make_optimizer(module.parameter_groups())
    schedule = module.make_schedule(optimizer, total_steps=steps)["scheduler"]
    per_epoch = len(values) // data.batch_size
    for step in range(steps):
        index = torch.randint(len(values), (data.batch_size,))
        batch = hide(values[index], torch.randint(1, values.shape[1] - GAP, (data.batch_size,)))
        output = model(*batch, times)
        log_prob = model.likelihood.log_prob(output.parameter, batch.values)
        loss = objective(log_prob, output.kl, batch.seen, batch.seen, step // per_epoch).total
        optimizer.zero_grad()
        loss.backward()
        for part in (model.encoder, model.dynamics, model.likelihood):
            torch.nn.utils.clip_grad_norm_(part.parameters(), config.trainer.gradient_clip_val)
        optimizer.step()
        schedule.step()
    return module.eval()


@torch.no_grad()
def evaluate(module: LatentDynamics, batch: Batch, times: Tensor, spec: DataSpec) -> Fitted:
    """Samples of posterior, forecast and prior, and the bound, all of evaluation trials."""
    torch.manual_seed(1)
    model, past, ahead = module.model, times[:, : spec.observed_bins], times[:, spec.observed_bins :]
    output = model(*batch, past, SAMPLES, Estimator.SAMPLED)
    log_prob = model.likelihood.log_prob(output.parameter, batch.values.repeat(SAMPLES, 1, 1))
    log_lik = (log_prob * batch.seen.repeat(SAMPLES, 1, 1)).sum((1, 2)).unflatten(0, (SAMPLES, -1))
    bound = module.bound(log_lik, output.kl, Estimator.SAMPLED) / batch.seen.sum()
    forecast = model.forecast(*batch, past, ahead, SAMPLES)
    free = model.generate(FREE, times).parameter.numpy()
    means = (x.parameter.unflatten(0, (SAMPLES, -1)).numpy() for x in (output, forecast))
    return Fitted(*means, free, bound.item())


def scores(fitted: Fitted, truth: np.ndarray, hidden: np.ndarray) -> dict[str, float]:
    """Of a fit, against the signal `truth`, (trial, bin, channel); `hidden` are the bins of the gap, (trial, bin)."""
    bins = hidden.shape[1]
    gap, ahead = np.where(hidden[..., None], truth[:, :bins], np.nan), truth[:, bins:]
    lower, upper = band(fitted.forecast)
    return {
        "elbo": fitted.elbo,
        "gap_rmse": rmse(fitted.posterior.mean(0), gap),
        "forward_rmse": rmse(fitted.forecast.mean(0), ahead),
        "gap_crps": crps(fitted.posterior, gap),
        "forward_crps": crps(fitted.forecast, ahead),
        "coverage": coverage(lower, upper, ahead),
    }


def band(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Between which a further draw lies nine times out of ten, given 39."""
    ordered = np.sort(samples, 0)
    return ordered[1], ordered[-2]


def baselines(batch: Batch, truth: np.ndarray) -> dict[str, float]:
    """Linear interpolation through the gap, the last value kept ahead."""
    values, seen = batch.values.numpy()[..., 0], batch.seen.numpy()[..., 0]
    bins = np.arange(values.shape[1])
    filled = np.stack([np.interp(bins, bins[s], y[s]) for y, s in zip(values, seen, strict=True)])
    gap = np.where(seen, np.nan, truth[:, : len(bins), 0])
    ahead = truth[:, len(bins) :, 0]
    last = np.repeat(filled[:, -1:], ahead.shape[1], 1)
    return {
        "gap_rmse": rmse(filled, gap),
        "forward_rmse": rmse(last, ahead),
        "gap_crps": crps(filled[None], gap),
        "forward_crps": crps(last[None], ahead),
    }


def true_equation(data: TrialDataModule, batch: Batch) -> Fitted:
    """The same from the equation that made the data: its posterior as a hidden Markov chain on a grid of states."""
    sde, spec, rng = data.system.sde, data.spec, np.random.default_rng(0)
    z, h = np.linspace(-2.5, 2.5, 251), spec.bin_width_s / 10
    mean = z + sde.drift(torch.zeros(()), torch.from_numpy(z)).numpy() * h
    step = np.exp(-0.5 * (z - mean[:, None]) ** 2 / (sde.sigma**2 * h))
    step = np.linalg.matrix_power(step / step.sum(1, keepdims=True), 10)  # of one bin
    stationary = np.linalg.matrix_power(step, 4096)[0]
    signal = z / np.sqrt(stationary @ z**2)  # in the data's unit: of the states' spread, about their mean of 0
    noise = data.observation.noise_std
    density = np.exp(-0.5 * ((batch.values.numpy() - signal) / noise) ** 2) / (noise * math.sqrt(2 * math.pi))
    density = np.where(batch.seen.numpy(), density, 1.0)  # (trial, bin, state)
    filtered, log_evidence, ahead = [], 0.0, np.tile(stationary, (len(density), 1))
    for bin in range(spec.observed_bins):
        joint = ahead * density[:, bin]
        log_evidence += np.log(joint.sum(1)).sum()
        filtered.append(joint / joint.sum(1, keepdims=True))
        ahead = filtered[-1] @ step
    draws = [draw(rng, np.tile(filtered[-1], (SAMPLES, 1)))]
    for past in filtered[-2::-1]:
        draws.insert(0, draw(rng, np.tile(past, (SAMPLES, 1)) * step[:, draws[0]].T))
    free = [draw(rng, np.tile(stationary, (FREE, 1)))]
    for _ in range(spec.forward_bins):
        draws.append(draw(rng, step[draws[-1]]))
    for _ in range(spec.total_bins - 1):
        free.append(draw(rng, step[free[-1]]))
    paths = signal[np.stack(draws, 1)].reshape(SAMPLES, len(density), -1, 1)
    bins = spec.observed_bins
    return Fitted(
        paths[:, :, :bins], paths[:, :, bins:], signal[np.stack(free, 1)][..., None], log_evidence / batch.seen.sum().item()
    )


def draw(rng: np.random.Generator, weights: np.ndarray) -> np.ndarray:
    """One column of each row, with probability proportional to its weight."""
    total = weights.cumsum(1)
    return (total < rng.random((len(weights), 1)) * total[:, -1:]).sum(1)


def draw_panels(left: Axes, right: Axes, fitted: Fitted, shown: Shown) -> None:
    """One trial with posterior and forecast on the left; on the right paths of the prior, and where all of them end."""
    times, observed = shown.times, len(shown.values)
    paths = np.concatenate([fitted.posterior[:, shown.trial, :, 0], fitted.forecast[:, shown.trial, :, 0]], 1)
    lower, upper = band(paths)
    hidden = np.flatnonzero(np.isnan(shown.values))
    left.axvspan(times[hidden[0]], times[hidden[-1]], color="#eeeeee", lw=0)
    for part, color in ((slice(None, observed), MODEL), (slice(observed - 1, None), ACCENT)):
        left.fill_between(times[part], lower[part], upper[part], color=color, alpha=0.25, lw=0)
        left.plot(times[part], paths.mean(0)[part], color=color, lw=1.2)
    left.plot(times, shown.truth, color=TRUTH, lw=0.7)
    left.plot(times[:observed], shown.values, ".", color=TRUTH, ms=2.5)
    right.plot(times, fitted.free[:SHOWN, :, 0].T, color=PRIOR, lw=0.6)
    edges, start = np.linspace(*LIMITS, 36), 1.03 * times[-1]
    for ends, look in ((shown.ends, {"fill": True, "color": "#cccccc"}), (fitted.free[:, -1, 0], {"color": PRIOR})):
        share = np.histogram(ends, edges)[0] / len(ends)
        right.stairs(start + 8 * share, edges, baseline=start, orientation="horizontal", **look)
    for axes in (left, right):
        axes.set_ylim(*LIMITS)


def gallery(fits: dict[str, Fitted], shown: Shown) -> Figure:
    """Two panels for each dynamics, and what the colours mean."""
    figure = new_figure(10.5, 10.5)
    axes = figure.subplots(5, 4, width_ratios=[1.9, 1.1] * 2)
    slots = axes.reshape(10, 2)
    for (name, fitted), (left, right) in zip(fits.items(), slots, strict=False):
        draw_panels(left, right, fitted, shown)
        tidy(left, "", "", "").set_title(f"{name}    {TITLES[name]}", fontsize=MEDIUM, loc="left")
        tidy(right).set_title(f"bound {fitted.elbo:.2f}", fontsize=MEDIUM, loc="right", color=TRUTH)
        right.set_yticklabels([])
        for ax in (left, right):
            ax.set_xticks(range(5))
        left.set_xlim(shown.times[0] - 0.1, shown.times[-1] + 0.1)
    for ax in slots[len(fits) - 2 : len(fits)].flat:
        ax.set_xlabel("time (s)", fontsize=MEDIUM)
    for ax in slots[len(fits) :].flat:
        ax.axis("off")
    slots[len(fits)][0].legend(KEY.values(), KEY.keys(), loc="upper left", frameon=False, fontsize=MEDIUM)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=250, help="of training, for each dynamics")
    parser.add_argument("--dynamics", nargs="*", default=[name for name in TITLES if name != TRUE])
    parser.add_argument("--figure", type=Path)
    parser.add_argument("overrides", nargs="*", help="such as objective.kl_ramp_epochs=0")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    base = composed("langevin_type", arguments.steps, arguments.overrides)
    data = instantiate_part(base, "data")
    data.setup()
    spec, trials = data.spec, data.eval_set
    batch = hide(trials.values, torch.full((len(trials),), (spec.observed_bins - GAP) // 2))
    truth, hidden = data.data.eval.rates, ~batch.seen[..., 0].numpy()
    report({"dynamics": "linear interpolation, persistence"}, baselines(batch, truth))
    fits = {TRUE: true_equation(data, batch)}
    report({"dynamics": TRUE}, scores(fits[TRUE], truth, hidden))
    for name in arguments.dynamics:
        config = composed(name, arguments.steps, arguments.overrides)
        fill_in_sizes(config, spec)
        begin = time.perf_counter()
        module = train(config, data, arguments.steps)
        seconds = time.perf_counter() - begin
        fits[name] = evaluate(module, batch, trials.times, spec)
        noise = module.model.likelihood.noise_std().item()
        report({"dynamics": name}, scores(fits[name], truth, hidden) | {"noise": noise, "train_s": seconds})
    if arguments.figure:
        arguments.figure.parent.mkdir(parents=True, exist_ok=True)
        gallery(fits, picked(batch, truth, trials.times)).savefig(arguments.figure, dpi=110)


def picked(batch: Batch, truth: np.ndarray, times: Tensor) -> Shown:
    """The first trial that changes wells in the gap."""
    first = (batch.values.shape[1] - GAP) // 2
    trial = int(np.flatnonzero(truth[:, first, 0] * truth[:, first + GAP, 0] < -0.5)[0])
    values = np.where(batch.seen[trial, :, 0], batch.values[trial, :, 0], np.nan)
    return Shown(trial, times[0].numpy(), values, truth[trial, :, 0], truth[:, -1, 0])


def report(about: dict[str, str], found: dict[str, float]) -> None:
    """One line of JSON."""
    print(json.dumps(about | {key: round(value, 3) for key, value in found.items()}), flush=True)


if __name__ == "__main__":
    main()
