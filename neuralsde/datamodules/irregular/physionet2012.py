"""PhysioNet/CinC Challenge 2012: intensive-care stays, to interpolate or to tell who will die."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from neuralsde.datamodules.irregular.assemble import padded, trimmed
from neuralsde.datamodules.irregular.checks import checked_choice, checked_seed, checked_share
from neuralsde.datamodules.irregular.missing import timepoints_per_record
from neuralsde.datamodules.irregular.physionet import VARIABLES, Source, Stays, find_sources, load_records
from neuralsde.datamodules.irregular.physionet.sources import outcomes_file
from neuralsde.datamodules.irregular.scaling import KINDS, STATS, standardise
from neuralsde.datamodules.irregular.series import AbstractReader, SeriesData, SeriesSet
from neuralsde.datamodules.irregular.split import two_parts
from neuralsde.errors import DataError

SPLIT_SEED = 42
"""Of the published split into training and test records."""
VAL_SHARE = 0.1
"""Of the training records; the published protocol has no validation records."""
TASKS = ("interpolation", "mortality")


class Physionet2012(AbstractReader):
    """Stays of 48 hours with 41 variables, at their own times in hours.

    Records are in order of their file names, set a before set b. 80 % are for training and validation (seed 42), a tenth of
    those for validation. For `interpolation`, `targets` hold all that was measured and `values` what is left of it when
    whole time points are hidden: int(n · observed) of a record's n points stay, at least one. The draw of validation and
    test records is held; `redraw` draws for training anew in each epoch. For `mortality` nothing is hidden and the label
    is death in hospital.

    Args:
        path: set-a.tar.gz, a folder of records, or a folder that holds either, for one or both sets.
        sets: `a`, `b`, `ab`, or `found` for those that are there.
        task: `interpolation` or `mortality`.
        observed: share of the time points that a model sees, for interpolation.
        scale: `min_max` is (x − min) / max as published, `range` is (x − min) / (max − min); `z`, `none`.
        stats: what the scale looks at: `all` records as published, or `train`.
        val_seed: of the validation records.
        mask_seed: of what is hidden.
        cache: True to keep parsed records beside the data or in the user's cache folder, False not to, else a folder.

    Raises:
        ConfigError: a setting is impossible.
    """

    def __init__(
        self,
        path: str | Path,
        sets: str = "found",
        task: str = "interpolation",
        observed: float = 0.5,
        scale: str = "min_max",
        stats: str = "train",
        val_seed: int = 0,
        mask_seed: int = 0,
        cache: bool | str = True,
    ):
        self.path, self.cache = Path(path).expanduser(), cache
        self.sets = checked_choice("sets", sets, ("a", "b", "ab", "found"))
        self.task = checked_choice("task", task, TASKS)
        self.observed = checked_share("observed", observed)
        self.scale, self.stats = checked_choice("scale", scale, KINDS), checked_choice("stats", stats, STATS)
        self.val_seed, self.mask_seed = checked_seed("val_seed", val_seed), checked_seed("mask_seed", mask_seed)

    def files(self) -> list[Path]:
        """Archives, and outcomes beside them; the records of a folder are too many to list."""
        sources = find_sources(self.path, self.sets)
        found = [s.path for s in sources if s.path.is_file()] + [outcomes_file(s) for s in sources]
        return [path for path in found if path is not None]

    def read(self) -> SeriesData:
        """Read, split, scale, and hide.

        Raises:
            DataError: the records are missing or damaged, or an outcome is not known.
        """
        sources = find_sources(self.path, self.sets)
        series = as_set([load_records(s, self.cache) for s in sources])
        if self.task == "mortality":
            refuse_unknown(series, sources)
        train, val, test = (trimmed(series[index]) for index in split_records(len(series), self.val_seed, self.path))
        hidden = f", {self.observed:g} of the time points seen" if self.task == "interpolation" else ""
        data = SeriesData(
            "physionet2012", train, val, test, VARIABLES,
            class_names=("survived", "died") if self.task == "mortality" else (), time_unit="h",
            source=f"{', '.join(s.path.name for s in sources)}{hidden}, scale {self.scale} of {self.stats} records",
        )  # fmt: skip
        data, _ = standardise(data, self.scale, self.stats)
        if self.task == "mortality":
            return data
        train, val, test = (
            hide(replace(s, labels=None, targets=s.values), self.observed, self.mask_seed)
            for s in (data.train, data.val, data.test)
        )
        return replace(data, train=train, val=val, test=test)

    def redraw(self, series: SeriesSet, epoch: int) -> SeriesSet | None:
        """The set with other time points hidden, for an epoch of training: the same epoch hides the same."""
        if self.task == "mortality":
            return None
        return hide(series, self.observed, self.mask_seed, epoch)


def as_set(parts: list[Stays]) -> SeriesSet:
    """Records of all sets as one set."""
    cuts = [np.cumsum(p.length)[:-1] for p in parts]
    times = [t for p, cut in zip(parts, cuts, strict=True) for t in np.split(p.times, cut)]
    values = [v for p, cut in zip(parts, cuts, strict=True) for v in np.split(p.values, cut)]
    names = [name for p in parts for name in p.names.tolist()]
    return padded(times, values, names, labels=np.concatenate([p.died for p in parts]))


def split_records(n: int, val_seed: int, path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices of training, validation and test records.

    Raises:
        DataError: there are too few.
    """
    if n < 10:
        raise DataError(f"{path}: holds {n} records; at least 10 are needed for training, validation and test.")
    fit, test = two_parts(np.arange(n), 0.8, SPLIT_SEED)
    train, val = two_parts(fit, 1 - VAL_SHARE, val_seed)
    return train, val, test


def hide(series: SeriesSet, observed: float, seed: int, epoch: int | None = None) -> SeriesSet:
    """The set whose values are its targets with whole time points hidden; see `timepoints_per_record`."""
    assert series.targets is not None
    return replace(series, values=timepoints_per_record(series.targets, series.names, observed, seed, epoch))


def refuse_unknown(series: SeriesSet, sources: list[Source]) -> None:
    """Raises:
    DataError: it is not known whether some patient survived.
    """
    assert series.labels is not None
    unknown = series.labels < 0
    if unknown.any():
        name = series.names[unknown][0]
        raise DataError(
            f"{sources[0].path}: the outcome of record {name} (and of {int(unknown.sum()) - 1} more) is not known; put "
            f"Outcomes-{name[0]}.txt beside it."
        )
