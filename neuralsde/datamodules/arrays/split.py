"""Which trials or blocks train, and which are scored."""

import numpy as np

from neuralsde.errors import ConfigError, DataError

SPLITS = ("train", "val", "test")


def draw_split(
    n: int, shares: tuple[float, float, float], seed: int, what: str, folds: int | None = None, fold: int = 0
) -> np.ndarray:
    """Index into `SPLITS` of each of `n` trials or blocks, (n,), in the drawn order; a share above 0 gets one at least.

    Args:
        n: how many there are.
        shares: of each split.
        seed: of the draw.
        what: they are, for the error's sentence.
        folds: cut the drawn order into so many parts, as equal as can be: part `fold` is the test split, the next one (after
            the last the first) validation, so that over all folds each trial is tested once and validates once. None for
            the shares.
        fold: which of them.

    Raises:
        DataError: there are fewer than splits with a share, or than folds.
    """
    if folds is not None:
        if n < folds:
            raise DataError(f"There are {n} {what} for data.folds={folds}; give fewer folds.")
        split = np.zeros(n, np.int64)
        parts = np.array_split(np.random.default_rng(seed).permutation(n), folds)
        split[parts[fold]], split[parts[(fold + 1) % folds]] = SPLITS.index("test"), SPLITS.index("val")
        return split
    wanted = sum(share > 0 for share in shares)
    held = [max(1, round(share * n)) if share > 0 else 0 for share in shares[1:]]
    if n < wanted or n <= sum(held):
        raise DataError(
            f"There are {n} {what} for {wanted} splits of the shares {list(shares)}; give a longer recording, fewer splits "
            "such as data.shares=[0.8,0.2,0], or smaller shares."
        )
    split = np.repeat([0, 1, 2], [n - sum(held), *held])
    return np.random.default_rng(seed).permutation(split)


def scored_split(phase: str, shares: tuple[float, float, float], folds: int | None = None) -> int:
    """Index of the split that a phase scores; arguments as `draw_split`.

    Raises:
        ConfigError: the phase is none, or without folds its split has no share.
    """
    if phase not in SPLITS[1:]:
        raise ConfigError(f"data.phase is `{phase}`; give `val` or `test`.")
    index = SPLITS.index(phase)
    if folds is None and not shares[index]:
        raise ConfigError(f"data.phase is `{phase}`, but data.shares={list(shares)} leave it nothing; give it a share.")
    return index
