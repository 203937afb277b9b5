"""The pictures of a run, each drawn where the data have what it shows."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from neuralsde import plots
from neuralsde.datamodules.batches import stack_targets
from neuralsde.datamodules.trials import TrialData
from neuralsde.evaluation.baselines import times_of
from neuralsde.evaluation.predict import Prediction
from neuralsde.metrics.decoding import decode
from neuralsde.metrics.labels import indicators


def draw_figures(data: TrialData, predictions: dict[str, Prediction], metrics_csv: Path) -> dict[str, Figure]:
    """Figures of the evaluation trials and of training, by name.

    Args:
        data: the recording.
        predictions: of the splits `train` and `eval`.
        metrics_csv: the run's `metrics.csv`; no training curves where it is missing.
    """
    latents = plots.latent_trajectories(
        predictions["eval"].latents, data.eval.condition, data.condition_names, "Latent trajectories"
    )
    if data.is_video:
        drawn = {"frames": video(data, predictions["eval"])}
    elif data.spec.kind == "counts":
        drawn = spike_figures(data, predictions)
    else:
        drawn = {"series": series(data, predictions["eval"])}
    figures = drawn | {"latents": latents}
    if metrics_csv.is_file() and len(columns := plots.read_metrics(metrics_csv)) > 1:
        figures["training"] = plots.training_curves(columns, "Training")
        if any(name.startswith("learned/") for name in columns):
            figures["learned"] = plots.learned_curves(columns, "Learned parameters")
    return figures


def spike_figures(data: TrialData, predictions: dict[str, Prediction]) -> dict[str, Figure]:
    """Figures of counts and rates; arguments as `draw_figures`."""
    rates = predictions["eval"].rates
    figures = {"raster": raster(data, rates)}
    if data.eval.rates is not None:
        figures["rates"] = plots.rates_vs_truth(rates, data.eval.rates, data.spec.bin_width_s, title="Inferred and true rates")
    if data.psth is not None and data.eval.condition is not None:
        figures["psth"] = psth(data, data.psth, data.eval.condition, rates)
    if data.behavior_kind == "continuous" and data.train.behavior is not None and data.eval.behavior is not None:
        figures |= behavior(data, data.train.behavior, data.eval.behavior, predictions)
    return figures


def video(data: TrialData, prediction: Prediction) -> Figure:
    """Evaluation frames beside the model's."""
    spec = data.spec
    frames = stack_targets(data.eval, spec)
    title = f"{data.name}: evaluation trials"
    return plots.frames(frames, prediction.rates, frame_s=spec.bin_width_s, observed_bins=spec.observed_bins, title=title)


def series(data: TrialData, prediction: Prediction) -> Figure:
    """Evaluation trials of real values, or of probabilities beside what was recorded."""
    spec, trials = data.spec, data.eval
    values = indicators(trials.in_units(stack_targets(trials, spec)), spec.n_classes)
    seen = np.zeros(values.shape, bool)
    if spec.predicts_inputs:
        heldin = ~np.isnan(indicators(trials.heldin, spec.n_classes))
        seen[:, : spec.observed_bins, : heldin.shape[2]] = heldin
    elif trials.shown is not None:
        seen = ~np.isnan(trials.shown)
        values = np.where(seen, trials.shown, values)
    # An interval of observations says nothing beside a probability.
    lower, upper = (prediction.lower, prediction.upper) if spec.kind == "real" else (None, None)
    return plots.series(
        times_of(trials, spec),
        values,
        seen,
        prediction.rates,
        truth=trials.rates,
        lower=lower,
        upper=upper,
        observed_bins=spec.observed_bins,
        names=data.target_names or [f"channel {c}, class {k}" for c in range(spec.target_dim) for k in range(spec.n_classes)],
        title=f"{data.name}: evaluation {data.called}" + ", probabilities" * (spec.kind != "real"),
        time_unit=data.time_unit,
        trial_names=() if trials.names is None else trials.names.tolist(),
    )


def raster(data: TrialData, rates: np.ndarray) -> Figure:
    """The evaluation trial with the most spikes, above its rates."""
    counts = stack_targets(data.eval, data.spec)
    trial = int(np.nansum(counts, axis=(1, 2)).argmax())
    return plots.raster_and_rates(
        counts[trial],
        rates[trial],
        data.spec.bin_width_s,
        truth=None if data.eval.rates is None else data.eval.rates[trial],
        n_heldin=data.spec.observed_dim,
        observed_bins=data.spec.observed_bins,
        title=f"{data.name}: evaluation trial {trial}",
    )


def psth(data: TrialData, measured: np.ndarray, condition: np.ndarray, rates: np.ndarray) -> Figure:
    """Condition averages of the recording beside the model's."""
    predicted = plots.condition_means(rates[:, : measured.shape[1]], condition, len(measured))
    predicted = np.where(np.isnan(measured), np.nan, predicted)  # beyond a condition's shortest trial
    return plots.psth_grid(measured, predicted, data.spec.bin_width_s, data.condition_names, title="Condition averages (PSTH)")


def behavior(data: TrialData, fitted: np.ndarray, true: np.ndarray, predictions: dict[str, Prediction]) -> dict[str, Figure]:
    """Movement paths and directions decoded from the rates, by decoders fitted to the training trials."""
    bins = data.spec.observed_bins
    train, scored = (predictions[name].rates[:, :bins] for name in ("train", "eval"))
    directions = [k for pair in data.angle_channels for k in pair]
    moved = [k for k in range(true.shape[-1]) if k not in directions]
    figures = {}
    if len(moved) > 1:
        decoded = decode(train, fitted[..., moved], scored)
        figures["hand"] = plots.hand_trajectories(
            true[..., moved], decoded, data.spec.bin_width_s, data.eval.condition, data.condition_names, data.length_unit,
            title="Movement decoded from rates",
        )  # fmt: skip
    if directions:
        decoded = decode(train, fitted[..., directions], scored)
        names = [data.behavior_names[cosine].removeprefix("cos ") for cosine, _ in data.angle_channels]
        figures["angle"] = plots.angle_traces(
            angles_of(true[..., directions]), angles_of(decoded), times_of(data.eval, data.spec)[:, :bins], names,
            title="Direction decoded from rates",
        )  # fmt: skip
    return figures


def angles_of(channels: np.ndarray) -> np.ndarray:
    """Directions in degrees, (…, direction), from cosines and sines (…, 2 · direction)."""
    return np.degrees(np.arctan2(channels[..., 1::2], channels[..., 0::2]))
