"""Which series are for training, validation and test."""

from collections import Counter
from contextlib import suppress
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import train_test_split

from neuralsde.errors import DataError


class Split(NamedTuple):
    """Indices of the series of each part.

    Args:
        train: to fit on, (series,), int64.
        val: to select on.
        test: to score once.
    """

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


def stratified_split(
    labels: np.ndarray,
    class_names: tuple[str, ...],
    shares: tuple[float, float, float],
    seed: int,
    rest_seed: int | None = None,
    what: str = "The data",
) -> Split:
    """Training series and the rest, then the rest in two, both with the classes in proportion, as scikit-learn does it.

    Args:
        labels: class of each series, (series,).
        class_names: one per class.
        shares: of training, validation and test.
        seed: of the first division.
        rest_seed: of the second one; None for the same.
        what: the data, in the error's sentence.

    Raises:
        DataError: there is but one class, or one has too few series to be in each part.
    """
    if len(class_names) < 2:
        raise DataError(
            f"{what}: all {len(labels)} series are of class `{''.join(class_names)}`; there is nothing to tell apart."
        )
    train_share, val_share, test_share = shares
    try:
        train, rest = two_parts(np.arange(len(labels)), train_share, seed, labels)
        share = round(val_share / (val_share + test_share), 12)
        val, test = two_parts(rest, share, seed if rest_seed is None else rest_seed, labels[rest])
    except ValueError as error:
        rare, n = Counter(labels.tolist()).most_common()[-1]
        raise DataError(
            f"{what}: {len(labels)} series of {len(class_names)} classes cannot be split {shares} with each class in each part "
            f"(class `{class_names[rare]}` has {n} of them); give more series, or leave rare classes out."
        ) from error
    refuse_absent(labels, train, class_names, what)
    return Split(train, val, test)


def two_parts(index: np.ndarray, share: float, seed: int, labels: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """A share of some indices and the rest, shuffled as scikit-learn does it, in proportion of `labels` where given."""
    first, second = train_test_split(index, train_size=share, stratify=labels, random_state=seed, shuffle=True)
    return np.asarray(first), np.asarray(second)


def random_split(n: int, shares: tuple[float, float, float], seed: int, what: str = "The data") -> Split:
    """Series in random order, cut in three.

    Raises:
        DataError: a part would be empty.
    """
    order = np.random.default_rng(seed).permutation(n)
    ends = [round(n * shares[0]), round(n * (shares[0] + shares[1]))]
    parts = Split(*np.split(order, ends))
    if not all(map(len, parts)):
        raise DataError(f"{what}: {n} series cannot be split {shares}; give more series, or other shares.")
    return parts


def refuse_absent(labels: np.ndarray, train: np.ndarray, class_names: tuple[str, ...], what: str) -> None:
    """Raises:
    DataError: no series of some class is for training.
    """
    absent = np.setdiff1d(np.arange(len(class_names)), labels[train])
    if len(absent):
        raise DataError(
            f"{what}: no series of class `{class_names[absent[0]]}` is for training, so that it cannot be learned; split "
            "otherwise, or leave the class out."
        )


def class_codes(labels: list[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Index into the classes of each label, (series,), int64, and the classes: in order of numbers where all are numbers."""
    names = sorted(set(labels))
    with suppress(ValueError):  # words stay in order of letters
        names = sorted(names, key=float)
    code = {name: index for index, name in enumerate(names)}
    return np.array([code[label] for label in labels], np.int64), tuple(names)
