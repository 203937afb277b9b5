"""Behaviour, read from rates, latents or smoothed spikes, on trials that neither model nor decoder was fitted to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import r2_score

from neuralsde.analysis.classifier import fit_classifier
from neuralsde.analysis.gru import fit_gru
from neuralsde.analysis.lags import bins_of, lagged
from neuralsde.analysis.ridge import fit_ridge
from neuralsde.analysis.targets import Target
from neuralsde.datamodules.trials import DataSpec
from neuralsde.errors import ConfigError, DataError
from neuralsde.metrics import angle_error

DECODERS = ("ridge", "gru")
SEGMENTS = 3
"""Parts of a trial whose mean activity a value or a condition of the whole trial is read from."""


class Activity(NamedTuple):
    """What is decoded from: activity of the training and of the evaluation trials, (trial, observed bin, feature)."""

    train: np.ndarray
    eval: np.ndarray


@dataclass(frozen=True)
class Decoding:
    """What a decoder reads from the evaluation trials, and how well.

    Args:
        target: what was decoded.
        source: from what: `rates`, `latents` or `smoothed`.
        decoder: `ridge`, `gru` or, of conditions, `logistic`.
        lags_ms: times by which the activity that was read precedes the behaviour.
        scores: of the evaluation trials, by name: `r2_uniform` (mean over channels), `r2_variance_weighted`, `r2/<channel>`; of
            angles `angle_error_deg` (mean absolute) and `chance_deg` (of the training trials' mean direction); of conditions
            `accuracy` and `chance` (of always naming the most frequent one).
        predicted: (trial, bin, channel) in the target's unit; of angles in radians, of conditions their indices.
        chosen: what was chosen by leaving out training trials: the penalty, or when to stop, and how well those were decoded.
        weights: change of each channel per unit of each feature, (lag, feature, channel); (segment, feature, channel) where the
            target is of the whole trial; of angles to cosine and sine, of conditions to log-odds; None of a GRU.
        intercept: (channel,); None of a GRU.
        compared: the same from smoothed spikes, which need no model; None where it was not asked for.
    """

    target: Target
    source: str
    decoder: str
    lags_ms: tuple[float | int, ...]
    scores: dict[str, float]
    predicted: np.ndarray
    chosen: dict[str, float]
    weights: np.ndarray | None = None
    intercept: np.ndarray | None = None
    compared: "Decoding | None" = None

    @property
    def summary(self) -> dict[str, Any]:
        """Plain numbers and names, for a file."""
        own = {
            "target": self.target.name,
            "kind": self.target.kind,
            "source": self.source,
            "decoder": self.decoder,
            "lags_ms": list(self.lags_ms),
            "scores": self.scores,
            "chosen": self.chosen,
        }
        return own if self.compared is None else {**own, "smoothed": self.compared.summary}


def decode(
    activity: Activity,
    target: Target,
    spec: DataSpec,
    source: str,
    decoder: str = "ridge",
    lags_ms: Sequence[float | int] = (0,),
    folds: int = 5,
    seed: int = 0,
) -> Decoding:
    """Fit a decoder to the training trials and apply it to the evaluation trials. What it can choose, it chooses by leaving
    out training trials; the evaluation trials enter the scores alone.

    Args:
        activity: what is decoded from.
        target: what is decoded.
        spec: sizes of the recording.
        source: name of the activity.
        decoder: `ridge` or `gru`; conditions are always decoded by logistic regression.
        lags_ms: times by which activity precedes behaviour, such as (0, 40, 80).
        folds: parts of the training trials that are left out in turn.
        seed: of the parts, and of a GRU.

    Raises:
        ConfigError: a setting is impossible.
        DataError: there are too few trials with a known target.
    """
    check(target, decoder, lags_ms, folds)
    lags = bins_of(lags_ms, spec.bin_width_s, spec.longest_s is None, spec.observed_bins)
    if target.kind == "condition":
        decoder = "logistic"
    features = [design(part, target, lags) for part in activity]
    fitted = fit(decoder, features[0], numbers(target, target.train), folds, seed)
    predicted = fitted(features[1])
    if target.kind == "angle":
        predicted = np.arctan2(predicted[..., 1], predicted[..., 0])[..., None]
    weights = fitted.weights
    if weights is not None:
        weights = weights.reshape(-1, activity.train.shape[2], weights.shape[1])
    scores = SCORES[target.kind](target, predicted)
    return Decoding(target, source, decoder, tuple(lags_ms), scores, predicted, fitted.chosen, weights, fitted.intercept)


def check(target: Target, decoder: str, lags_ms: Sequence[float | int], folds: int) -> None:
    """Raises:
    ConfigError: a setting is impossible.
    """
    if decoder not in DECODERS:
        raise ConfigError(f"decode got decoder={decoder!r}; give {' or '.join(DECODERS)}.")
    if type(folds) is not int or folds < 2:
        raise ConfigError(f"decode got folds={folds}; give a whole number of at least 2.")
    if not target.per_bin and (decoder != "ridge" or tuple(lags_ms) != (0,)):
        raise ConfigError(
            f"decode got decoder={decoder!r} and lags_ms={list(lags_ms)}, but {target.name} is one value per trial, read from "
            f"the mean activity in {SEGMENTS} parts of it: leave both out."
        )


def design(activity: np.ndarray, target: Target, lags: Sequence[int]) -> np.ndarray:
    """Features, (trial, bin, lag * feature), or (trial, 1, segment * feature) where the target is of the whole trial."""
    if target.per_bin:
        return lagged(activity.astype(np.float64), lags)
    parts = np.array_split(activity.astype(np.float64), min(SEGMENTS, activity.shape[1]), axis=1)
    return np.concatenate([part.mean(1, keepdims=True) for part in parts], axis=-1)


def numbers(target: Target, values: np.ndarray) -> np.ndarray:
    """What the decoder is fitted to: of angles cosine and sine, of unknown conditions NaN."""
    if target.kind == "angle":
        return direction(values)[..., 0, :]
    return np.where(values < 0, np.nan, values) if target.kind == "condition" else values


def fit(decoder: str, features: np.ndarray, values: np.ndarray, folds: int, seed: int) -> Any:
    """The fitted decoder."""
    if decoder == "gru":
        return fit_gru(features, values, seed)
    return (fit_classifier if decoder == "logistic" else fit_ridge)(features, values, folds, seed)


def value_scores(target: Target, predicted: np.ndarray) -> dict[str, float]:
    """R² over the known bins of the evaluation trials, each channel around its own mean there."""
    known = ~np.isnan(target.eval).any(-1)
    y, decoded = target.eval[known], predicted[known]
    if len(y) < 2:
        raise DataError(f"{target.name} is known in {len(y)} bins of the evaluation trials, but R² needs two.")
    each = np.atleast_1d(r2_score(y, decoded, multioutput="raw_values"))
    weighted = float(r2_score(y, decoded, multioutput="variance_weighted"))
    scores = {"r2_uniform": float(each.mean()), "r2_variance_weighted": weighted}
    return scores | {f"r2/{name}": float(r2) for name, r2 in zip(target.channels, each, strict=True)}


def angle_scores(target: Target, predicted: np.ndarray) -> dict[str, float]:
    """Mean absolute error, and that of always naming the training trials' mean direction, in degrees."""
    typical = np.angle(np.nanmean(np.exp(1j * target.train)))
    guesses = {"angle_error_deg": predicted, "chance_deg": np.full_like(predicted, typical)}
    return {name: angle_error(direction(guess), direction(target.eval)) for name, guess in guesses.items()}


def direction(angle: np.ndarray) -> np.ndarray:
    """Cosine and sine, (…, channel, 2), of angles in radians (…, channel)."""
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def condition_scores(target: Target, predicted: np.ndarray) -> dict[str, float]:
    """Share of the evaluation trials whose condition is named, and that of always naming the most frequent one."""
    true, known = target.eval.ravel(), target.eval.ravel() >= 0
    frequent = np.bincount(target.train[target.train >= 0].astype(int)).argmax()
    return {
        "accuracy": float((predicted.ravel() == true)[known].mean()),
        "chance": float((true[known] == frequent).mean()),
    }


SCORES: dict[str, Callable[[Target, np.ndarray], dict[str, float]]] = {
    "values": value_scores,
    "trial": value_scores,
    "angle": angle_scores,
    "condition": condition_scores,
}
"""How each kind of target is scored."""
