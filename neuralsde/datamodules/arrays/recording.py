"""A file of arrays as one checked recording, rebinned, with unknown entries NaN."""

from dataclasses import dataclass, replace

import numpy as np

from neuralsde.datamodules.arrays import checks
from neuralsde.datamodules.arrays.file import ArrayFile
from neuralsde.datamodules.arrays.layout import Layout
from neuralsde.errors import ConfigError, DataError


@dataclass(frozen=True)
class Recording:
    """Trials, or one continuous recording whose arrays lack the axis `trial`.

    Args:
        values: counts or real values, (trial, bin, unit); in the file's own type, or float32 with NaN where not recorded.
        bin_width_s: in seconds.
        behavior: (trial, bin, channel), float32; NaN in all channels where one is not known.
        behavior_names: one for each channel.
        moving: the array that the setting `moving` names, (trial, bin, channel).
        steps: number of each bin in its trial, (trial, bin), where bins may be left out.
        inside: bins that belong to their trial, (trial, bin), bool.
        condition: index of each trial's condition, (trial,), int64; -1 for none.
        condition_names: one label per condition.
    """

    values: np.ndarray
    bin_width_s: float
    behavior: np.ndarray | None = None
    behavior_names: tuple[str, ...] = ()
    moving: np.ndarray | None = None
    steps: np.ndarray | None = None
    inside: np.ndarray | None = None
    condition: np.ndarray | None = None
    condition_names: tuple[str, ...] = ()

    @property
    def is_continuous(self) -> bool:
        return self.values.ndim == 2


def read_recording(file: ArrayFile, layout: Layout) -> Recording:
    """The recording in an open file.

    Raises:
        DataError: an array is missing, or is not what the layout says.
        ConfigError: a setting is for the other kind of recording.
    """
    values = file.numbers(layout.spikes, "spikes")
    checks.refuse_dimensions(values, layout.spikes, file.path)
    bin_width_s = width_of(file, layout)
    refuse_other_kind(values.ndim == 2, layout, file)
    inside = None if values.ndim == 2 else bins_inside(file, layout, values.shape[:2])
    refuse = checks.refuse_bad_counts if layout.kind == "counts" else checks.refuse_infinite
    refuse(values, inside, layout.spikes, file.path)
    bins = values.shape[:-1]
    behavior, names = read_behavior(file, layout, bins, inside)
    condition, labels = read_condition(file, layout, bins)
    recording = Recording(
        values=known_inside(values, inside),
        bin_width_s=bin_width_s,
        behavior=behavior,
        behavior_names=names,
        moving=read_moving(file, layout, bins, inside),
        steps=read_steps(file, layout, inside),
        inside=inside,
        condition=condition,
        condition_names=labels,
    )
    return recording if layout.rebin == 1 else rebinned(recording, layout, file)


def width_of(file: ArrayFile, layout: Layout) -> float:
    """Width of the file's bins, in seconds.

    Raises:
        DataError: the file's `bin_ms` is no number above 0.
        ConfigError: neither file nor settings give it, or they disagree.
    """
    if "bin_ms" not in file:
        if layout.bin_width_s is None:
            raise ConfigError(
                f"{file.path}: holds no `bin_ms`, so give the width of its bins as data.bin_width_s=… in seconds."
            )
        return layout.bin_width_s
    bin_ms = file.numbers("bin_ms", "bin_width_s")
    if bin_ms.size != 1 or not 0 < bin_ms.item() < np.inf:
        raise DataError(f"{file.path}: `bin_ms` is {bin_ms.tolist()}; one number of milliseconds above 0 is needed.")
    width = float(bin_ms.item()) / 1000
    if layout.bin_width_s is not None and abs(layout.bin_width_s - width) > 1e-6 * width:
        raise ConfigError(
            f"data.bin_width_s is {layout.bin_width_s}, but {file.path} says bin_ms {bin_ms.item():g}; correct one of them, or "
            "set data.bin_width_s to null (data.rebin makes wider bins)."
        )
    return width


def refuse_other_kind(is_continuous: bool, layout: Layout, file: ArrayFile) -> None:
    """Raises:
    ConfigError: a setting is for trials in a continuous recording, or the other way round, or the window is missing.
    """
    if is_continuous and layout.window_bins is None:
        raise ConfigError(
            f"{file.path}: `{layout.spikes}` is one continuous recording; give the bins of its windows as data.window_bins."
        )
    other = ("observed_bins", "moving", "condition", "timestep") if is_continuous else ("window_bins",)
    for key in other:
        if getattr(layout, key) is not None:
            what = (
                "trials, but `{}` is one continuous recording"
                if is_continuous
                else "a continuous recording, but `{}` are trials"
            )
            raise ConfigError(f"{file.path}: data.{key} is for {what.format(layout.spikes)}; set it to null.")


def bins_inside(file: ArrayFile, layout: Layout, shape: tuple[int, ...]) -> np.ndarray:
    """Which bins belong to their trial, (trial, bin), bool."""
    if layout.length is None or (layout.length == Layout.length and layout.length not in file):
        return np.ones(shape, bool)
    length = checks.checked_length(file.numbers(layout.length, "length"), shape, layout.length, file.path)
    return np.arange(shape[1]) < length[:, None]


def known_inside(values: np.ndarray, inside: np.ndarray | None) -> np.ndarray:
    """`values`, NaN in bins beyond a trial's end; in their own type where all is known."""
    if inside is not None and not inside.all():
        return np.where(inside[..., None], values, np.float32(np.nan)).astype(np.float32)
    return values.astype(np.float32, copy=False) if values.dtype.kind == "f" else values


def read_behavior(
    file: ArrayFile, layout: Layout, bins: tuple[int, ...], inside: np.ndarray | None
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Behaviour (…, channel), angles last, and the names of its channels."""
    parts, names = [], []
    for name in layout.behavior:
        array = read_rows(file, name, "behavior", layout, bins, inside)
        wanted = (layout.behavior_channels or {}).get(name, range(array.shape[-1]))
        if not all(0 <= channel < array.shape[-1] for channel in wanted):
            raise ConfigError(
                f"data.behavior_channels asks `{name}` for {list(wanted)}, but it has {array.shape[-1]} channels."
            )
        parts.append(array[..., list(wanted)])
        names += [name] if array.shape[-1] == 1 else [f"{name} {channel}" for channel in wanted]
    for name in layout.angles:
        angle = read_rows(file, name, "angles", layout, bins, inside)
        if angle.shape[-1] != 1:
            raise DataError(f"{file.path}: array `{name}` (data.angles) has shape {angle.shape}; one angle per bin is needed.")
        parts += [np.cos(angle), np.sin(angle)]
        names += [f"cos {name}", f"sin {name}"]
    if not parts:
        return None, ()
    behavior = np.concatenate(parts, axis=-1)
    behavior[np.isnan(behavior).any(-1)] = np.nan  # a decoder needs all channels of a bin
    return behavior, tuple(names)


def read_rows(
    file: ArrayFile, name: str, setting: str, layout: Layout, bins: tuple[int, ...], inside: np.ndarray | None
) -> np.ndarray:
    """An array with a row for each bin of the spikes, (…, channel), float32, NaN beyond a trial's end.

    Raises:
        DataError: it has other trials or bins, or an infinite value.
    """
    array = file.numbers(name, setting)
    checks.refuse_other_length(array, bins, name, layout.spikes, file.path)
    checks.refuse_infinite(array, inside, name, file.path)
    array = array.reshape(*bins, -1).astype(np.float32)
    return array if inside is None else np.where(inside[..., None], array, np.float32(np.nan))


def read_moving(file: ArrayFile, layout: Layout, bins: tuple[int, ...], inside: np.ndarray | None) -> np.ndarray | None:
    """The array whose norm says which bins are kept, where the layout names one."""
    if layout.moving is None:
        return None
    return read_rows(file, str(layout.moving["array"]), "moving", layout, bins, inside)


def read_steps(file: ArrayFile, layout: Layout, inside: np.ndarray | None) -> np.ndarray | None:
    """Number of each bin in its trial, where the layout names an array of them."""
    if layout.timestep is None or inside is None:
        return None
    return checks.checked_steps(file.numbers(layout.timestep, "timestep"), inside, layout.timestep, file.path)


def read_condition(file: ArrayFile, layout: Layout, bins: tuple[int, ...]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Index of each trial's condition, -1 where its label is NaN or empty, and the conditions' names.

    Raises:
        DataError: there is not one label per trial.
    """
    if layout.condition is None:
        return None, ()
    label = file.read(layout.condition, "condition")
    if label.shape != bins[:1] or label.dtype.kind not in "buifUS":
        raise DataError(
            f"{file.path}: array `{layout.condition}` has shape {label.shape} of {label.dtype}; one number or word for each of "
            f"{bins[0]} trials is needed."
        )
    label = label.astype(np.str_) if label.dtype.kind == "S" else label
    missing = label == "" if label.dtype.kind == "U" else np.isnan(label)
    found, index = np.unique(label[~missing], return_inverse=True)
    condition = np.full(bins[0], -1, np.int64)
    condition[~missing] = index
    return condition, tuple(f"{layout.condition}={value}" for value in found.tolist())


def rebinned(recording: Recording, layout: Layout, file: ArrayFile) -> Recording:
    """Every `rebin` bins made one; bins that are left at a trial's end are dropped.

    Raises:
        ConfigError: the recording has fewer bins.
    """
    n, bins = layout.rebin, recording.values.shape[-2]
    if n > bins:
        raise ConfigError(f"data.rebin is {n}, but {file.path} has only {bins} bins; give fewer.")

    def means(part: np.ndarray | None) -> np.ndarray | None:
        return None if part is None else groups(part, n).mean(-2, dtype=np.float32)

    counts = groups(recording.values, n)
    return replace(
        recording,
        values=counts.sum(-2, dtype=np.float32) if layout.kind == "counts" else counts.mean(-2, dtype=np.float32),
        bin_width_s=n * recording.bin_width_s,
        behavior=means(recording.behavior),
        moving=means(recording.moving),
        inside=None if recording.inside is None else np.all(groups(recording.inside[..., None], n), axis=(-2, -1)),
    )


def groups(values: np.ndarray, n: int) -> np.ndarray:
    """`values` (…, bin, channel) as (…, group, `n` bins, channel); bins that fill no group are dropped."""
    whole = values.shape[-2] // n
    return values[..., : whole * n, :].reshape(*values.shape[:-2], whole, n, values.shape[-1])
