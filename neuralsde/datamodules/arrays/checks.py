"""What is asked of the arrays of a recording; each refusal names the file, the array and the first entry that is wrong."""

from pathlib import Path

import numpy as np

from neuralsde.errors import DataError

AXES = ("trial", "bin", "unit")


def refuse_dimensions(values: np.ndarray, name: str, path: Path) -> None:
    """Raises:
    DataError: `values` are neither trials nor one continuous recording, or empty.
    """
    if values.ndim not in (2, 3) or not values.size:
        raise DataError(
            f"{path}: array `{name}` has shape {values.shape}; (trial, bin, unit) of trials, or (bin, unit) of a continuous "
            "recording, is needed."
        )


def refuse_bad_counts(values: np.ndarray, inside: np.ndarray | None, name: str, path: Path) -> None:
    """Refuse what is no count; a bin in which every unit is NaN was not recorded and may stay.

    Args:
        values: (trial, bin, unit) or (bin, unit).
        inside: bins that belong to their trial, (trial, bin), bool; None for all.
        name: of the array.
        path: of the file.

    Raises:
        DataError: a count is negative, a fraction, infinite, or NaN beside known ones.
    """
    if values.dtype.kind in "bu":
        return
    # Trial by trial, or stretch by stretch: the comparisons of a long recording at once would need several times its memory.
    for start in range(0, len(values), 4096):
        part = values[start : start + 4096]
        bad = ~((part >= 0) & (part == np.floor(part)) & np.isfinite(part))
        bad &= ~np.isnan(part).all(-1, keepdims=True)
        if inside is not None:
            bad &= inside[start : start + 4096, :, None]
        if bad.any():
            index = np.argwhere(bad)[0]
            found = part[tuple(index)]
            index[0] += start
            raise DataError(
                f"{path}: array `{name}` holds {found:g} at {place(index)}, which is no spike count; give whole numbers of 0 "
                "or above (data.kind=real for other values), NaN in all units where nothing was recorded."
            )


def refuse_infinite(values: np.ndarray, inside: np.ndarray | None, name: str, path: Path) -> None:
    """Raises:
    DataError: a value is infinite in a bin that belongs to its trial.
    """
    bad = np.isinf(values)
    if inside is not None:
        bad &= inside.reshape(*inside.shape, *[1] * (bad.ndim - inside.ndim))
    if bad.any():
        index = np.argwhere(bad)[0]
        raise DataError(f"{path}: array `{name}` is infinite at index {index.tolist()}; give numbers, NaN where unknown.")


def place(index: np.ndarray) -> str:
    """An index into (trial, bin, unit), or (bin, unit), in words."""
    return ", ".join(f"{axis} {i}" for axis, i in zip(AXES[-len(index) :], index.tolist(), strict=True))


def refuse_other_length(array: np.ndarray, bins: tuple[int, ...], name: str, spikes: str, path: Path) -> None:
    """Raises:
    DataError: the array's first axes are not the trials and bins of the spikes, or it has more than one further axis.
    """
    if array.shape[: len(bins)] != bins or array.ndim > len(bins) + 1:
        axes = ", ".join(AXES[-1 - len(bins) : -1])
        raise DataError(
            f"{path}: array `{name}` has shape {array.shape}, but `{spikes}` has ({axes}) {bins}; give `{name}` one row, or "
            "one number, for each of them."
        )


def checked_length(length: np.ndarray, shape: tuple[int, ...], name: str, path: Path) -> np.ndarray:
    """Bins of each trial, (trial,), int64.

    Args:
        length: as read.
        shape: trials and bins of the spikes.
        name: of the array.
        path: of the file.

    Raises:
        DataError: one is no whole number, below 1, or beyond the array.
    """
    if length.shape != shape[:1]:
        raise DataError(f"{path}: array `{name}` has shape {length.shape}; one number for each of {shape[0]} trials is needed.")
    bad = ~((length >= 1) & (length <= shape[1]) & (length == np.floor(length)))
    if bad.any():
        trial = int(np.argmax(bad))
        raise DataError(
            f"{path}: array `{name}` is {length[trial]:g} in trial {trial}, but trials have 1 to {shape[1]} bins; give the "
            "number of bins that were recorded."
        )
    return length.astype(np.int64)


def checked_steps(steps: np.ndarray, inside: np.ndarray, name: str, path: Path) -> np.ndarray:
    """Number of each bin in its trial, (trial, bin), int64, 0 in bins beyond a trial's end.

    Raises:
        DataError: the shape is another, or numbers do not increase.
    """
    if steps.shape != inside.shape:
        raise DataError(f"{path}: array `{name}` has shape {steps.shape}, but {inside.shape} (trial, bin) is needed.")
    bad = inside[:, 1:] & ~(np.diff(steps.astype(np.float64), axis=1) >= 1)
    bad |= inside[:, 1:] & (np.nan_to_num(steps[:, 1:] % 1) != 0)
    if bad.any():
        trial, step = np.argwhere(bad)[0].tolist()
        raise DataError(
            f"{path}: array `{name}` goes from {steps[trial, step]:g} to {steps[trial, step + 1]:g} in trial {trial}; give the "
            "number of each bin in its trial, which increases."
        )
    return np.where(inside, steps, 0).astype(np.int64)
