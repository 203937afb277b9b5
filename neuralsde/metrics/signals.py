"""How close real-valued predictions are to true signals and true states, or to recorded values."""

import numpy as np

from neuralsde.errors import NeuralSDEError
from neuralsde.metrics.checks import checked_rates, refuse_not_finite


def pooled_r2(predicted: np.ndarray, truth: np.ndarray) -> float:
    r"""R² pooled over channels, each around its own mean, so that knowing only the channels' means scores 0.

    $$1 - \frac{\sum_{n,i} (y_{ni} - \hat y_{ni})^2}{\sum_{n,i} (y_{ni} - \bar y_n)^2}$$

    Args:
        predicted: $\hat y$, (trial, bin, channel).
        truth: $y$, same shape and unit; NaN marks entries that are left out.

    Raises:
        NeuralSDEError: the shapes differ, a prediction is not finite where the truth is known, or the truth is not known
            anywhere, or never varies.
    """
    predicted, truth = known_pair(predicted, truth)
    mean = np.divide(np.nansum(truth, axis=(0, 1)), (~np.isnan(truth)).sum((0, 1)).clip(1))
    total = float(np.nansum((truth - mean) ** 2))
    if total == 0:
        raise NeuralSDEError(f"The {truth.size} true values never vary; R² is not defined.")
    return 1 - float(np.nansum((truth - predicted) ** 2)) / total


def rmse(predicted: np.ndarray, values: np.ndarray) -> float:
    r"""Root mean square error $\sqrt{\overline{(y - \hat y)^2}}$ over all entries, in the unit of the values.

    Args:
        predicted: $\hat y$, any shape.
        values: $y$, same shape; NaN marks entries that are left out.

    Raises:
        NeuralSDEError: the shapes differ, a prediction is not finite where a value is known, or none is known.
    """
    predicted, values = known_pair(predicted, values)
    return float(np.sqrt(np.nanmean((values - predicted) ** 2)))


def state_r2(train_latents: np.ndarray, train_states: np.ndarray, eval_latents: np.ndarray, eval_states: np.ndarray) -> float:
    """Pooled R² of true states from latents, by an affine regression (least squares) fitted to the training trials.

    States and latents are unique only up to a change of coordinates; this allows for an affine one.

    Args:
        train_latents: (trial, bin, latent).
        train_states: (trial, bin, state).
        eval_latents: as `train_latents`, for the trials to score.
        eval_states: as `train_states`.

    Raises:
        NeuralSDEError: trials or bins differ, a latent is not finite, or the evaluation states never vary.
    """
    for latents, states in ((train_latents, train_states), (eval_latents, eval_states)):
        checked_rates(latents, (*np.shape(states)[:2], np.shape(train_latents)[-1]), "latents")
        refuse_not_finite(latents, "latents")
    rows = with_intercept(train_latents).reshape(-1, train_latents.shape[-1] + 1)
    weights = np.linalg.lstsq(rows, train_states.reshape(len(rows), -1).astype(np.float64), rcond=None)[0]
    return pooled_r2(with_intercept(eval_latents) @ weights, eval_states)


def with_intercept(latents: np.ndarray) -> np.ndarray:
    """Latents (trial, bin, latent) in float64 and a last column of ones."""
    return np.concatenate([latents, np.ones((*latents.shape[:2], 1))], axis=-1, dtype=np.float64)


def known_pair(predicted: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both in float64, of one shape, the predictions finite where a value is known.

    Raises:
        NeuralSDEError: they are not, or no value is known.
    """
    predicted, values = checked_rates(predicted, np.shape(values), "predictions"), np.asarray(values, np.float64)
    known = ~np.isnan(values)
    if not known.any():
        raise NeuralSDEError(f"None of the {values.size} values to compare with is known.")
    refuse_not_finite(predicted[known], "predictions")
    return predicted, values
