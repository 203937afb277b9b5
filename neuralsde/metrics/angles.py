"""How well a direction, such as that of the head, is decoded from rates."""

import numpy as np

from neuralsde.errors import NeuralSDEError
from neuralsde.metrics.checks import checked_rates, refuse_not_finite
from neuralsde.metrics.decoding import decode


def angle_error(decoded: np.ndarray, truth: np.ndarray) -> float:
    r"""Mean absolute error of a direction, in degrees: 0 to 180, and 90 for a guess.

    $$\frac{180}{\pi n} \sum \left| \operatorname{arg} e^{i (\hat\theta - \theta)} \right|$$

    Args:
        decoded: $\cos\hat\theta$ and $\sin\hat\theta$, up to a common factor, (…, 2).
        truth: $\cos\theta$ and $\sin\theta$, same shape; NaN marks directions that are left out.

    Raises:
        NeuralSDEError: the shapes differ, no direction is known, or a decoded one is not finite where it is.
    """
    decoded, truth = checked_rates(decoded, np.shape(truth), "decoded directions"), np.asarray(truth, np.float64)
    known = ~np.isnan(truth).any(-1)
    if not known.any():
        raise NeuralSDEError(f"None of the {known.size} directions to compare with is known.")
    refuse_not_finite(decoded[known], "decoded directions")
    x, y = (part[known] @ (1, 1j) for part in (decoded, truth))
    return float(np.degrees(np.abs(np.angle(x * np.conj(y))).mean()))


def decoded_angle_error(
    train_rates: np.ndarray, train_angle: np.ndarray, eval_rates: np.ndarray, eval_angle: np.ndarray
) -> float:
    """Error in degrees of a direction whose cosine and sine are decoded from rates bin by bin, by one ridge regression.

    Args:
        train_rates: counts per bin, (trial, bin, neuron).
        train_angle: cosine and sine, (trial, bin, 2); NaN where unknown.
        eval_rates: as `train_rates`, for the trials to score.
        eval_angle: as `train_angle`.

    Raises:
        NeuralSDEError: a rate is not finite or negative, or too few directions are known.
    """
    return angle_error(decode(train_rates, train_angle, eval_rates), eval_angle)
