"""How well probabilities predict binary values and class indices."""

import numpy as np
from scipy.stats import rankdata

from neuralsde.errors import NeuralSDEError
from neuralsde.metrics.checks import checked_rates, refuse_not_finite

FLOOR = 1e-7
"""Stands in for a probability of zero; about the resolution of float32 next to 1."""


def log_loss(probabilities: np.ndarray, targets: np.ndarray, n_classes: int = 0) -> float:
    r"""Mean of $-\ln p(y)$ over the known targets, in nats.

    Args:
        probabilities: of 1, (trial, bin, unit); or of each class of each unit, side by side,
            (trial, bin, unit × class). Below `FLOOR` they are taken as `FLOOR`.
        targets: $y$, (trial, bin, unit), 0 or 1 or a class index; NaN marks entries that are left out.
        n_classes: classes; 0 where targets are binary.

    Raises:
        NeuralSDEError: the shapes do not fit, a value is no probability, or no target is known.
    """
    chances, index = known_chances(probabilities, targets, n_classes)
    return float(-np.log(np.maximum(chances[np.arange(len(index)), index], FLOOR)).mean())


def accuracy(probabilities: np.ndarray, targets: np.ndarray, n_classes: int = 0) -> float:
    """Share of the known targets that are the most probable class; arguments and errors as `log_loss`."""
    chances, index = known_chances(probabilities, targets, n_classes)
    return float((chances.argmax(-1) == index).mean())


def auroc(probabilities: np.ndarray, targets: np.ndarray, n_classes: int = 0) -> float:
    r"""Area under the receiver operating characteristic, $P(p_i > p_j) + \frac12 P(p_i = p_j)$ of a known target $i$ of the
    class and a $j$ that is not; of more than two classes the mean over those that occur. Arguments as `log_loss`.

    Returns:
        NaN where all known targets are of one class.

    Raises:
        NeuralSDEError: as `log_loss`.
    """
    chances, index = known_chances(probabilities, targets, n_classes)
    areas = [area_of(chances[:, k], index == k) for k in ([1] if chances.shape[1] == 2 else range(chances.shape[1]))]
    return float(np.nanmean(areas)) if np.isfinite(areas).any() else float("nan")


def area_of(scores: np.ndarray, hits: np.ndarray) -> float:
    """The Mann-Whitney statistic as a share of the pairs; NaN where there are none."""
    positive, negative = int(hits.sum()), int((~hits).sum())
    if not positive or not negative:
        return float("nan")
    above = rankdata(scores)[hits].sum() - positive * (positive + 1) / 2
    return float(above / (positive * negative))


def calibration_error(probabilities: np.ndarray, targets: np.ndarray, n_classes: int = 0, bins: int = 10) -> float:
    r"""Expected calibration error, $\sum_b \frac{n_b}{n} |\mathrm{accuracy}_b - \mathrm{confidence}_b|$ over equal bins of the
    most probable class's probability. Arguments as `log_loss`.

    Raises:
        NeuralSDEError: as `log_loss`.

    Reference: Guo, Pleiss, Sun, Weinberger, *On calibration of modern neural networks*, 2017, arXiv:1706.04599.
    """
    chances, index = known_chances(probabilities, targets, n_classes)
    confidence, right = chances.max(-1), chances.argmax(-1) == index
    bin = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(bin, right.astype(float) - confidence, bins)
    return float(np.abs(gaps).sum() / len(index))


def known_chances(probabilities: np.ndarray, targets: np.ndarray, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of all classes (entry, class) and class index (entry,), of the entries whose target is known."""
    shape, known = np.shape(targets), ~np.isnan(targets)
    chances = checked_rates(probabilities, (*shape[:-1], shape[-1] * max(n_classes, 1)), "probabilities")
    chances = chances.reshape(*shape, -1)[known]  # (entry, class), or (entry, 1)
    if not known.any():
        raise NeuralSDEError(f"None of the {known.size} targets to compare with is known.")
    refuse_no_probabilities(chances)
    if not n_classes:
        chances = np.concatenate([1 - chances, chances], axis=-1)
    return chances, np.asarray(targets)[known].astype(int)


def refuse_no_probabilities(chances: np.ndarray) -> None:
    """Raises:
    NeuralSDEError: a value is NaN or outside [0, 1].
    """
    refuse_not_finite(chances, "probabilities")
    if chances.size and not (chances.min() >= 0 and chances.max() <= 1 + 1e-5):
        raise NeuralSDEError(
            f"The probabilities range from {chances.min():.3g} to {chances.max():.3g}; give values from 0 to 1, not logits."
        )


def indicators(targets: np.ndarray, n_classes: int) -> np.ndarray:
    """1 where a target is the class, 0 where another, NaN where unknown: (trial, bin, unit × class); binary targets as is."""
    if not n_classes:
        return targets
    hits = (targets[..., None] == np.arange(n_classes)).astype(np.float32)
    hits[np.isnan(targets)] = np.nan
    return hits.reshape(*targets.shape[:-1], -1)
