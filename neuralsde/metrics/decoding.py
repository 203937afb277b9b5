"""How much of the behaviour a linear decoder reads from rates.

Source: Pei et al. 2021 (arXiv 2109.04463), section 4; the definition of nlb_tools' `evaluation.py`.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold

from neuralsde.errors import NeuralSDEError
from neuralsde.metrics.checks import refuse_bad_rates

ALPHAS = np.logspace(-4, 0, 9)
"""Ridge penalties that the benchmark's search chooses from."""
FOLDS = 5
"""Consecutive parts of the rows, each left out in turn, by which it chooses."""


def vel_r2(
    train_rates: np.ndarray,
    train_behavior: np.ndarray,
    eval_rates: np.ndarray,
    eval_behavior: np.ndarray,
    train_mask: np.ndarray | None = None,
    eval_mask: np.ndarray | None = None,
) -> float:
    r"""R² of hand velocity decoded bin by bin by ridge regression, averaged over channels, then over decoders.

    Rates (not log-rates) of held-in and held-out neurons enter the decoder. Training and evaluation rates must come
    from the same inference procedure, or the decoder meets inputs that it was not fitted on.

    Args:
        train_rates: counts per bin, (trial, bin, neuron).
        train_behavior: (trial, bin, channel), any unit; rows whose first channel is NaN are left out.
        eval_rates: as `train_rates`, for the trials to score.
        eval_behavior: as `train_behavior`.
        train_mask: trials that each decoder is fitted on, (trial, decoder), bool; all by default.
        eval_mask: trials that each decoder is scored on.

    Raises:
        NeuralSDEError: a rate is not finite or negative, or a decoder is left without bins.
    """
    train_mask = np.ones((len(train_rates), 1), bool) if train_mask is None else train_mask
    eval_mask = np.ones((len(eval_rates), 1), bool) if eval_mask is None else eval_mask
    scores = []
    for fitted, scored in zip(train_mask.T, eval_mask.T, strict=True):
        decoder = fit_decoder(train_rates[fitted], train_behavior[fitted])
        scores.append(decoder.score(*known_rows(eval_rates[scored], eval_behavior[scored])))
    return float(np.mean(scores))


def fit_decoder(rates: np.ndarray, behavior: np.ndarray) -> Ridge:
    """The benchmark's decoder of one bin's behaviour from its rates; its `predict` takes and returns rows."""
    x, y = known_rows(rates, behavior)
    return Ridge(alpha=best_alpha(x, y)).fit(x, y)


def best_alpha(x: np.ndarray, y: np.ndarray) -> float:
    """What `GridSearchCV(Ridge(), {"alpha": ALPHAS})` chooses; arguments as `cross_validated`."""
    return float(ALPHAS[np.argmax(cross_validated(x, y, ALPHAS, [held for _, held in KFold(FOLDS).split(x)]))])


def cross_validated(x: np.ndarray, y: np.ndarray, alphas: np.ndarray, folds: Sequence[np.ndarray]) -> np.ndarray:
    """R² on rows that were left out, averaged over channels and folds, for each penalty: that of scikit-learn's search, from
    one product of the rows instead of one for each penalty and fold.

    Args:
        x: rates, (row, neuron).
        y: behaviour, (row, channel).
        alphas: penalties, (penalty,).
        folds: rows (indices, or a mask) that are left out in turn.
    """
    z = np.column_stack([np.ones(len(x)), x])
    grams = [(z[held].T @ z[held], z[held].T @ y[held]) for held in folds]
    xx_all, xy_all = (sum(parts) for parts in zip(*grams, strict=True))
    scores = []
    for held, (xx, xy) in zip(folds, grams, strict=True):
        decoders = centred_ridge(xx_all - xx, xy_all - xy, alphas)
        scores.append([r2_score(y[held], z[held] @ decoder) for decoder in decoders])
    return np.mean(scores, axis=0)


def centred_ridge(xx: np.ndarray, xy: np.ndarray, alphas: np.ndarray) -> list[np.ndarray]:
    """Ridge weights with a free intercept for each penalty, (1 + neuron, channel), from products of rows that begin with 1."""
    n, x_mean, y_mean = xx[0, 0], xx[0, 1:] / xx[0, 0], xy[0] / xx[0, 0]
    spread = xx[1:, 1:] - n * np.outer(x_mean, x_mean)
    shared = xy[1:] - n * np.outer(x_mean, y_mean)
    weights = [np.linalg.solve(spread + alpha * np.eye(len(spread)), shared) for alpha in alphas]
    return [np.vstack([y_mean - x_mean @ w, w]) for w in weights]


def decode(train_rates: np.ndarray, train_behavior: np.ndarray, eval_rates: np.ndarray) -> np.ndarray:
    """Behaviour of the evaluation trials, (trial, bin, channel), by one decoder; arguments as `vel_r2`."""
    decoded = fit_decoder(train_rates, train_behavior).predict(eval_rates.reshape(-1, eval_rates.shape[-1]))
    return decoded.reshape(*eval_rates.shape[:2], -1)


def known_rows(rates: np.ndarray, behavior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Trials and bins flattened to rows, (row, neuron) and (row, channel), where the behaviour was recorded."""
    known = ~np.isnan(behavior[..., 0])
    x, y = np.asarray(rates[known], np.float64), np.asarray(behavior[known], np.float64)
    if len(x) < FOLDS:
        raise NeuralSDEError(f"A decoder needs {FOLDS} bins with behaviour, but {len(x)} of {known.size} have any.")
    refuse_bad_rates(x)
    return x, y
