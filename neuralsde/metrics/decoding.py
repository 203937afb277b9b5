"""How much of the behaviour a linear decoder reads from rates.

Source: Pei et al. 2021 (arXiv 2109.04463), section 4; the definition of nlb_tools' `evaluation.py`.
"""

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV

from neuralsde.errors import NeuralSDEError
from neuralsde.metrics.checks import refuse_bad_rates

ALPHAS = np.logspace(-4, 0, 9)
"""Ridge penalties that the benchmark's five-fold search chooses from."""


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


def fit_decoder(rates: np.ndarray, behavior: np.ndarray) -> GridSearchCV:
    """The benchmark's decoder of one bin's behaviour from its rates; its `predict` takes and returns rows."""
    return GridSearchCV(Ridge(), {"alpha": ALPHAS}).fit(*known_rows(rates, behavior))


def decode(train_rates: np.ndarray, train_behavior: np.ndarray, eval_rates: np.ndarray) -> np.ndarray:
    """Behaviour of the evaluation trials, (trial, bin, channel), by one decoder; arguments as `vel_r2`."""
    decoded = fit_decoder(train_rates, train_behavior).predict(eval_rates.reshape(-1, eval_rates.shape[-1]))
    return decoded.reshape(*eval_rates.shape[:2], -1)


def known_rows(rates: np.ndarray, behavior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Trials and bins flattened to rows, (row, neuron) and (row, channel), where the behaviour was recorded."""
    known = ~np.isnan(behavior[..., 0])
    x, y = np.asarray(rates[known], np.float64), np.asarray(behavior[known], np.float64)
    if len(x) < 2:
        raise NeuralSDEError(f"A decoder needs bins with behaviour, but {len(x)} of {known.size} have any.")
    refuse_bad_rates(x)
    return x, y
