"""What every score asks of the rates it is given."""

import numpy as np

from neuralsde.errors import NeuralSDEError


def checked_rates(rates: np.ndarray, shape: tuple[int, ...], what: str = "rates") -> np.ndarray:
    """`rates` in float64.

    Raises:
        NeuralSDEError: their shape is not `shape`.
    """
    if np.shape(rates) != shape:
        raise NeuralSDEError(f"The {what} have shape {np.shape(rates)}, but {shape} is needed; predict the same trials.")
    return np.asarray(rates, np.float64)


def refuse_not_finite(values: np.ndarray, what: str) -> None:
    """Raises:
    NeuralSDEError: a value is NaN or infinite.
    """
    if not np.isfinite(values).all():
        raise NeuralSDEError(
            f"{np.count_nonzero(~np.isfinite(values))} of {values.size} {what} are NaN or infinite; the model diverged."
        )


def refuse_bad_rates(rates: np.ndarray, what: str = "rates") -> None:
    """Raises:
    NeuralSDEError: a rate is NaN, infinite or negative.
    """
    refuse_not_finite(rates, what)
    if (rates < 0).any():
        raise NeuralSDEError(
            f"{np.count_nonzero(rates < 0)} of {rates.size} {what} are negative (least {rates.min():.3g}); "
            "give expected counts per bin, not log-rates."
        )
