"""The score table of a recording: every metric that its data allow."""

import numpy as np

from neuralsde.datamodules.batches import stack_targets
from neuralsde.datamodules.trials import DataSpec, TrialData, Trials
from neuralsde.metrics import (
    accuracy,
    auroc,
    bits_per_spike,
    calibration_error,
    decoded_angle_error,
    log_loss,
    pooled_r2,
    psth_r2,
    rate_r2,
    rmse,
    state_r2,
    tp_corr,
    vel_r2,
)
from neuralsde.metrics.checks import checked_rates, refuse_bad_rates, refuse_not_finite
from neuralsde.metrics.labels import refuse_no_probabilities


def score(
    data: TrialData,
    rates_train: np.ndarray | None,
    rates_eval: np.ndarray,
    rates_extra: dict[str, np.ndarray] | None = None,
    latents_train: np.ndarray | None = None,
    latents_eval: np.ndarray | None = None,
) -> dict[str, float]:
    """Scores of predicted rates, by name. A key is present only where the data allow it.

    * counts: `co_bps`, `fp_bps`, `vel_r2`, `psth_r2`, `tp_corr`, `rate_r2` (pooled) and `rate_r2_uniform`; no `co_bps`
      where held-out counts are withheld, no `rate_r2` without true rates. Of behaviour that is a direction `angle_r2`, of
      cosine and sine, and `angle_error_deg`, mean absolute error in degrees, averaged over directions.
    * real: `signal_r2` against the true signal in observed bins, `forward_r2` in forward bins, `missing_rmse` in bins that
      were hidden; where the truth is not known, `rmse` and `forward_rmse` against what was recorded, or `scaled_rmse` and
      `forward_scaled_rmse`, in standard deviations of each channel, where channels are in units of their own.
    * binary, category: `log_loss` in nats, `accuracy`, `auroc` and `calibration_error` against what was recorded in observed
      bins, `forward_log_loss` and so on in forward bins; no `auroc` where only one class was recorded.
    * all: `state_r2`, of the true states from the latents (see `metrics.state_r2`) in observed bins.

    Args:
        data: the recording.
        rates_train: rates of `data.train`, needed to decode behaviour alone, which is left out where they are None.
        rates_eval: rates of `data.eval`, (trial, observed + forward bin, held-in + held-out unit): expected counts per bin,
            expected values, or probabilities of 1; of a category, probabilities (trial, bin, unit × class).
        rates_extra: rates of splits in `data.extra`; their scores get keys such as `heldout_conditions/rate_r2`.
        latents_train: latents of `data.train`, (trial, observed + forward bin, latent), for `state_r2`.
        latents_eval: latents of `data.eval`, for `state_r2`.

    Raises:
        NeuralSDEError: rates of the wrong shape, or NaN or infinite, or negative where they are counts, or no probabilities.
    """
    scores = score_split(data, data.eval, rates_train, rates_eval) | state_scores(data, latents_train, latents_eval)
    for name, rates in (rates_extra or {}).items():
        scores |= {f"{name}/{key}": value for key, value in score_split(data, data.extra[name], None, rates).items()}
    return scores


def score_split(data: TrialData, trials: Trials, rates_train: np.ndarray | None, rates: np.ndarray) -> dict[str, float]:
    """Scores of one split; arguments as `score`."""
    rates = valid_rates(data, trials, rates, "rates")
    if data.spec.kind == "real":
        return signal_scores(data.spec, trials, rates, data.deviations)
    if data.spec.kind in ("binary", "category"):
        return label_scores(data.spec, trials, rates)
    return (
        spike_scores(data, trials, rates)
        | behavior_scores(data, trials, rates_train, rates)
        | psth_scores(data, trials, rates)
        | rate_scores(trials, rates)
    )


def valid_rates(data: TrialData, trials: Trials, rates: np.ndarray, what: str) -> np.ndarray:
    """`rates` in float64 once their shape and, in the rows that are predicted, values are those that `trials` ask for."""
    spec = data.spec
    rates = checked_rates(rates, (len(trials), spec.total_bins, spec.target_dim * max(spec.n_classes, 1)), what)
    said = rates if trials.rows is None else rates[trials.rows]
    if spec.kind == "counts":
        refuse_bad_rates(said, what)
    elif spec.kind == "real":
        refuse_not_finite(said, what)
    else:
        refuse_no_probabilities(said)
    return rates


def signal_scores(spec: DataSpec, trials: Trials, rates: np.ndarray, deviations: np.ndarray | None = None) -> dict[str, float]:
    """Real values against the true signal, or against what was recorded where it is not known, in units of `deviations`."""
    bins, units = spec.observed_bins, spec.observed_dim
    truth, metric, names = trials.rates, pooled_r2, ("signal_r2", "forward_r2")
    if truth is None:
        truth, metric, names = trials.in_units(stack_targets(trials, spec)), rmse, ("rmse", "forward_rmse")
        if deviations is not None:
            truth, rates, names = truth / deviations, rates / deviations, ("scaled_rmse", "forward_scaled_rmse")
    scores = {}
    for name, part in zip(names, (slice(None, bins), slice(bins, None)), strict=True):
        if not np.isnan(truth[:, part]).all():
            scores[name] = metric(rates[:, part], truth[:, part])
    if trials.rates is not None:
        missing = np.where(np.isnan(trials.heldin), trials.rates[:, :bins, :units], np.nan)
        if not np.isnan(missing).all():
            scores["missing_rmse"] = rmse(rates[:, :bins, :units], missing)
    return scores


def label_scores(spec: DataSpec, trials: Trials, rates: np.ndarray) -> dict[str, float]:
    """Probabilities against recorded binary values or class indices."""
    targets, scores = stack_targets(trials, spec), {}
    for prefix, part in (("", slice(None, spec.observed_bins)), ("forward_", slice(spec.observed_bins, None))):
        if not np.isnan(targets[:, part]).all():
            for metric in (log_loss, accuracy, auroc, calibration_error):
                scores[prefix + metric.__name__] = metric(rates[:, part], targets[:, part], spec.n_classes)
    return {name: value for name, value in scores.items() if not np.isnan(value)}


def state_scores(data: TrialData, latents_train: np.ndarray | None, latents_eval: np.ndarray | None) -> dict[str, float]:
    """True states from latents, in observed bins."""
    states = data.train.states, data.eval.states
    if latents_train is None or latents_eval is None or states[0] is None or states[1] is None:
        return {}
    bins = slice(None, data.spec.observed_bins)
    return {"state_r2": state_r2(latents_train[:, bins], states[0][:, bins], latents_eval[:, bins], states[1][:, bins])}


def spike_scores(data: TrialData, trials: Trials, rates: np.ndarray) -> dict[str, float]:
    """Co-smoothing on held-out units in observed bins; forward prediction on all units in forward bins."""
    bins, units = data.spec.observed_bins, data.spec.observed_dim
    targets = stack_targets(trials, data.spec)
    scores = {}
    if (heldout := targets[:, :bins, units:]).size and trials.heldout is not None:
        scores["co_bps"] = bits_per_spike(rates[:, :bins, units:], heldout)
    if (forward := targets[:, bins:]).size and trials.heldin_forward is not None:
        scores["fp_bps"] = bits_per_spike(rates[:, bins:], forward)
    return scores


def behavior_scores(data: TrialData, trials: Trials, rates_train: np.ndarray | None, rates: np.ndarray) -> dict[str, float]:
    """Decoded velocities and directions, or the correlation of speed with produced time."""
    bins, train = data.spec.observed_bins, data.train
    if trials.behavior is None:
        return {}
    if data.behavior_kind == "timing" and trials.heldout is not None:
        return {"tp_corr": tp_corr(rates[:, :bins], trials.heldout, trials.behavior)}
    if data.behavior_kind != "continuous" or rates_train is None or train.behavior is None:
        return {}
    fitted = valid_rates(data, train, rates_train, "training rates")[:, :bins]
    masks, scored = (train.decode_mask, trials.decode_mask), rates[:, :bins]
    directions = [k for pair in data.angle_channels for k in pair]
    others = [k for k in range(trials.behavior.shape[-1]) if k not in directions]
    scores = {}
    for name, channels in (("vel_r2", others), ("angle_r2", directions)):
        if channels:
            scores[name] = vel_r2(fitted, train.behavior[..., channels], scored, trials.behavior[..., channels], *masks)
    if directions:
        pairs = [list(pair) for pair in data.angle_channels]
        errors = [decoded_angle_error(fitted, train.behavior[..., p], scored, trials.behavior[..., p]) for p in pairs]
        scores["angle_error_deg"] = float(np.mean(errors))
    return scores


def psth_scores(data: TrialData, trials: Trials, rates: np.ndarray) -> dict[str, float]:
    """The match to each condition's mean response."""
    if data.psth is None or trials.condition is None or not (trials.condition >= 0).any():
        return {}
    return {"psth_r2": psth_r2(data.psth, rates[:, : data.spec.observed_bins], trials.condition, trials.jitter)}


def rate_scores(trials: Trials, rates: np.ndarray) -> dict[str, float]:
    """R² of log-rates, observed and forward bins together, where the true rates are known."""
    if trials.rates is None:
        return {}
    r2 = rate_r2(rates, trials.rates)
    return {"rate_r2": r2.pooled, "rate_r2_uniform": r2.uniform}
