"""The score table of a recording: every metric that its data allow."""

import numpy as np

from neuralsde.datamodules.batches import stack_targets
from neuralsde.datamodules.trials import TrialData, Trials
from neuralsde.metrics import bits_per_spike, psth_r2, rate_r2, tp_corr, vel_r2
from neuralsde.metrics.checks import checked_rates, refuse_bad_rates


def score(
    data: TrialData,
    rates_train: np.ndarray | None,
    rates_eval: np.ndarray,
    rates_extra: dict[str, np.ndarray] | None = None,
) -> dict[str, float]:
    """Scores of predicted rates, by name.

    The names are `co_bps`, `fp_bps`, `vel_r2`, `psth_r2`, `tp_corr`, `rate_r2` (pooled) and `rate_r2_uniform`.
    A key is present only where the data allow it: no `co_bps` where held-out counts are withheld, no `rate_r2` without
    true rates.

    Args:
        data: the recording.
        rates_train: rates of `data.train`, needed by `vel_r2` alone, which is left out where they are None.
        rates_eval: rates of `data.eval`, counts per bin, (trial, observed + forward bin, held-in + held-out unit).
        rates_extra: rates of splits in `data.extra`; their scores get keys such as `heldout_conditions/rate_r2`.

    Raises:
        NeuralSDEError: rates of the wrong shape, or NaN, infinite or negative.
    """
    scores = score_split(data, data.eval, rates_train, rates_eval)
    for name, rates in (rates_extra or {}).items():
        scores |= {f"{name}/{key}": value for key, value in score_split(data, data.extra[name], None, rates).items()}
    return scores


def score_split(data: TrialData, trials: Trials, rates_train: np.ndarray | None, rates: np.ndarray) -> dict[str, float]:
    """Scores of one split; arguments as `score`."""
    rates = valid_rates(data, trials, rates, "rates")
    return (
        spike_scores(data, trials, rates)
        | behavior_scores(data, trials, rates_train, rates)
        | psth_scores(data, trials, rates)
        | rate_scores(trials, rates)
    )


def valid_rates(data: TrialData, trials: Trials, rates: np.ndarray, what: str) -> np.ndarray:
    """`rates` in float64 once their shape and values are those that `trials` ask for."""
    spec = data.spec
    shape = (len(trials), spec.observed_bins + spec.forward_bins, spec.target_dim)
    rates = checked_rates(rates, shape, what)
    refuse_bad_rates(rates, what)
    return rates


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


def behavior_scores(
    data: TrialData, trials: Trials, rates_train: np.ndarray | None, rates: np.ndarray
) -> dict[str, float]:
    """Velocity decoding, or the correlation of speed with produced time."""
    bins, train = data.spec.observed_bins, data.train
    if trials.behavior is None:
        return {}
    if data.behavior_kind == "timing" and trials.heldout is not None:
        return {"tp_corr": tp_corr(rates[:, :bins], trials.heldout, trials.behavior)}
    if data.behavior_kind != "continuous" or rates_train is None or train.behavior is None:
        return {}
    fitted = valid_rates(data, train, rates_train, "training rates")[:, :bins]
    masks = (train.decode_mask, trials.decode_mask)
    return {"vel_r2": vel_r2(fitted, train.behavior, rates[:, :bins], trials.behavior, *masks)}


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
