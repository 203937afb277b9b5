"""Predictions of series that were in no table of the training: from a file of them to values with intervals."""

import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuralsde.datamodules.irregular import SeriesDataModule, TableSeries
from neuralsde.datamodules.irregular.assemble import last_known_rows, last_rows, padded, rows_of
from neuralsde.datamodules.irregular.dates import SECONDS, dated, since
from neuralsde.datamodules.irregular.learned import Learned
from neuralsde.datamodules.irregular.module import median_step
from neuralsde.datamodules.irregular.scaling import scaled
from neuralsde.datamodules.irregular.series import SeriesSet
from neuralsde.datamodules.irregular.table.cells import date_or_none
from neuralsde.datamodules.irregular.table.grouped import LARGEST_RATIO, SUSPECT_STEP
from neuralsde.datamodules.settings import is_number
from neuralsde.datamodules.trials import Trials
from neuralsde.errors import ConfigError, DataError, warn
from neuralsde.evaluation.predict import bin_times, coordinates, join, listed, predict, progress
from neuralsde.evaluation.prediction import Prediction
from neuralsde.training.module import LatentDynamics

if TYPE_CHECKING:
    from neuralsde.evaluation.load import Run

FARTHEST = 2.0
"""Times of the longest forecast in training that are forecast at most."""
FAR_VALUE = 4.0
"""Standard deviations of a channel in training that its median in other series may be away before it is told of."""
MOST_TIMES = 10_000
"""Times that a series is forecast at, at most."""
DEFAULTS = {"n_samples": 1000, "sample_batch": 250, "batch_size": 32, "interval": 0.9, "average": "rate", "quantiles": ()}


def predict_series(
    run: "Run",
    path: str | Path,
    horizon: float | int | None = None,
    every: float | int | None = None,
    times: Sequence[float | int | str] = (),
    **settings: Any,
) -> Prediction:
    """What a model of a table says of the series of another one; arguments and errors as `Run.predict_series`."""
    data, reader = table_of(run)
    series = reader.read_new(path, data.channel_names, data.dated, bool(data.zone))
    tell_of_other_values(series, data, Path(path))
    refuse_other_unit(series, data, Path(path))
    asked: list[np.ndarray] = []
    if data.task == "forecast":
        series, later = without_empty_end(series)
        asked = times_ahead(series, data, later, horizon, every, times, Path(path))
    elif horizon is not None or every is not None or len(times):
        instead = "leave them out: a series has one class"
        if data.task == "interpolation":
            instead = "for values at other times add rows with empty cells to the table"
        raise ConfigError(f"predict got horizon, every or times, but the model's task is {data.task}: {instead}.")
    series = fitting(series, data, Path(path))
    trials = data.new_trials(scaled(series, reader.fitted), asked)
    chosen = {**{key: run.config.predict[key] for key in ("dropout", "seed")}, **DEFAULTS, **settings}
    if data.class_names:
        chosen |= {"interval": None, "quantiles": ()}
    else:
        chosen["quantiles"] = tuple(dict.fromkeys((0.5, *listed(chosen["quantiles"]))))
    said = run.calibrated(partial(series_by_series, run.module, trials), **chosen)
    names = {"condition_names": data.class_names, "channel_names": data.class_names or data.channel_names}
    said = replace(said, coordinates=replace(said.axes, **names, time_unit=data.time_unit, zone=data.zone))
    if data.class_names:
        return said

    def in_units(values: np.ndarray) -> np.ndarray:
        return reader.fitted.undo(values).astype(np.float32)

    shown = None if trials.shown is None else in_units(trials.shown)
    return replace(said.mapped(in_units), coordinates=replace(said.axes, shown=shown))


def series_by_series(module: LatentDynamics, trials: Trials, seed: int, label: str = "", **settings: Any) -> Prediction:
    """`predict`, with noise that depends on the seed and on a series' name alone: what is told of a series changes neither with
    those beside it nor with their order. A series' trials follow each other."""
    assert trials.names is not None
    spec, names = module.spec, trials.names
    parts = np.split(np.arange(len(trials)), np.flatnonzero(names[1:] != names[:-1]) + 1)
    found: list[Prediction] = []
    with progress(label, len(parts)) as advance:
        for own in parts:
            found.append(predict(module, trials[own], seed=seed_of(seed, str(names[own[0]])), **settings))
            advance()
    return join(found, coordinates(spec, trials, bin_times(spec, trials), spec.observed_bins))


def seed_of(seed: int, name: str) -> int:
    """Seed of a series' noise."""
    return int(np.random.SeedSequence([seed, zlib.crc32(name.encode())]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def read_series(run: "Run", path: str | Path) -> dict[str, np.ndarray]:
    """The values of a table's channels as columns; see `Run.read_series`."""
    data, reader = table_of(run)
    series = reader.read_new(path, data.channel_names, data.dated, bool(data.zone))
    number, row, channel = np.nonzero(~np.isnan(series.values))
    order = np.lexsort((row, channel, number))
    number, row, channel = number[order], row[order], channel[order]
    times = series.times if series.origin is None else dated(series.origin[:, None], series.times, data.time_unit)
    return {
        "series": series.names[number],
        "time": times[number, row],
        "channel": np.array(data.channel_names)[channel],
        "value": series.values[number, row, channel],
    }


def table_of(run: "Run") -> tuple[SeriesDataModule, TableSeries]:
    """The run's data, which know what was learned of the training series, and what reads them. The training table is read only
    where the checkpoint, of an earlier version, does not hold that.

    Raises:
        ConfigError: they are no table of series, or forecasts are read off the window's last rows.
        CheckpointError: what the checkpoint holds of the training series is damaged.
    """
    data = run.unread
    if not isinstance(data, SeriesDataModule) or not isinstance(data.reader, TableSeries):
        raise ConfigError(
            f"Other series are read from a table, but the data of {run.path} are none (data=csv): predict a split."
        )
    if data.task == "forecast" and not data.extrapolate:
        raise ConfigError("With data.extrapolate=false a model forecasts at the times of training alone: train it with true.")
    if run.learned:
        data.recall(Learned.of(run.learned, run.module.spec))
        return data, data.reader
    data = run.datamodule
    assert isinstance(data, SeriesDataModule)
    assert isinstance(data.reader, TableSeries)
    _ = data.data  # reads the table, whose statistics scale what the model sees
    run.refuse_changed(data.files(), by_name=False)
    return data, data.reader


def without_empty_end(series: SeriesSet) -> tuple[SeriesSet, list[np.ndarray]]:
    """The series without the rows at their ends in which nothing is known, and the times of those rows."""
    found = [rows_of(series, n) for n in range(len(series))]
    ends = [int(np.flatnonzero(~np.isnan(values).all(1))[-1]) + 1 for _, values in found]
    cut = padded(
        [t[:end] for (t, _), end in zip(found, ends, strict=True)],
        [v[:end] for (_, v), end in zip(found, ends, strict=True)],
        series.names.tolist(),
    )
    kept = replace(series, times=cut.times, values=cut.values, length=cut.length)
    return kept, [t[end:] for (t, _), end in zip(found, ends, strict=True)]


def times_ahead(
    series: SeriesSet,
    data: SeriesDataModule,
    later: list[np.ndarray],
    horizon: float | int | None,
    every: float | int | None,
    times: Sequence[float | int | str],
    path: Path,
) -> list[np.ndarray]:
    """Times to forecast, of each series, in the unit of its rows.

    Raises:
        ConfigError: they are given in two ways, or are impossible, or too far ahead.
        DataError: one of them is not ahead of a series.
    """
    last = series.times[:, -1]
    if sum((horizon is not None, len(times) > 0)) > 1 or (every is not None and horizon is None):
        raise ConfigError("predict got every, or horizon and times; give horizon (and every with it), or times.")
    if every is not None and horizon is not None and is_number(every) and is_number(horizon) and every > horizon:
        raise ConfigError(f"predict got horizon={horizon:g} and every={every:g}; give a step that the horizon holds.")
    if len(times):
        asked = [moments(times, series, n, data) for n in range(len(series))]
    elif horizon is not None:
        steps = grid(horizon, data.step if every is None else every)
        asked = [t + steps for t in last]
    else:
        asked = [own if len(own) else t + data.usual for t, own in zip(last, later, strict=True)]
    if data.dated and not len(times):
        asked = [np.round(own * SECONDS[data.time_unit]) / SECONDS[data.time_unit] for own in asked]
    for name, own, end in zip(series.names.tolist(), asked, last, strict=True):
        if (own <= end).any():
            raise DataError(
                f"{path}: series `{name}` has values at or after a time to forecast; give later times, or leave it out."
            )
    refuse_too_far(max(float(own[-1] - end) for own, end in zip(asked, last, strict=True)), data)
    tell_of_early(min(float(own[0] - end) for own, end in zip(asked, last, strict=True)), data)
    return [np.unique(own) for own in asked]


def grid(horizon: float | int, every: float | int) -> np.ndarray:
    """Times since the last row, up to the horizon, at least that one.

    Raises:
        ConfigError: they are not above 0, or too many.
    """
    for name, value in (("horizon", horizon), ("every", every)):
        if not is_number(value) or not value > 0:
            raise ConfigError(f"predict got {name}={value}; give a time above 0.")
    if horizon / every > MOST_TIMES:
        raise ConfigError(f"predict got horizon={horizon:g} and a step of {every:g}; give at most {MOST_TIMES} steps.")
    return every * np.arange(1, int(horizon / every * (1 + 1e-9)) + 1) if horizon >= every else np.array([horizon])


def moments(times: Sequence[float | int | str], series: SeriesSet, number: int, data: SeriesDataModule) -> np.ndarray:
    """Given times in the unit of a series' rows, increasing.

    Raises:
        ConfigError: they are no times of the kind that the table has.
    """
    if not data.dated:
        if not all(is_number(t) and np.isfinite(t) for t in times):
            raise ConfigError(f"predict got times={list(times)}; give numbers, as the table's times are.")
        return np.sort(np.asarray(times, np.float64))
    dates = [date_or_none(str(t)) for t in times]
    if None in dates:
        raise ConfigError(
            f"predict got times={list(times)}; give ISO dates, as the table's times are, such as 2024-05-01T13:30."
        )
    assert series.origin is not None
    if {d.tzinfo is not None for d in dates if d} != {bool(data.zone)}:
        raise ConfigError(
            f"predict got times={list(times)}; give a zone to all where the table's times have one, else to none."
        )
    plain = [d.astimezone(UTC).replace(tzinfo=None) if data.zone else d for d in dates if d]
    return np.sort(since(np.array(plain, "datetime64[us]"), series.origin[number], data.time_unit))


def refuse_too_far(farthest: float, data: SeriesDataModule) -> None:
    """Raises:
    ConfigError: a forecast reaches more than `FARTHEST` times as far as in training.
    """
    if farthest <= data.reach * (1 + 1e-9):
        return
    unit = data.time_unit
    said = f"forecasts reach {farthest:.4g} {unit} beyond a last row, and in training at most {data.reach:.4g} {unit}"
    if farthest > FARTHEST * data.reach:
        raise ConfigError(
            f"The {said}: ask for at most {FARTHEST:g} times that, or train with data.reader.ahead_time={farthest:.4g}."
        )
    warn(f"{said}; what the model says farther out has not been learned.")


def tell_of_early(earliest: float, data: SeriesDataModule) -> None:
    """Warn where a forecast begins earlier than any of training."""
    if earliest < data.nearest * (1 - 1e-9):
        warn(
            f"forecasts begin {earliest:.4g} {data.time_unit} after a last row, and in training {data.nearest:.4g} at the "
            "earliest; before that the model is as unsure as there."
        )


def fitting(series: SeriesSet, data: SeriesDataModule, path: Path) -> SeriesSet:
    """The series with no more rows than the model was trained on.

    Raises:
        DataError: one has more, and none of its rows can be left out.
    """
    most = data.observed
    series = series if data.last_rows is None else last_known_rows(series, data.last_rows)
    if (long := series.length > most).any():
        name, rows = series.names[int(np.argmax(long))], int(series.length[int(np.argmax(long))])
        if data.task == "interpolation":
            raise DataError(
                f"{path}: series `{name}` has {rows} rows, and in training the longest had {most}; cut it into several series."
            )
        warn(f"{path}: series `{name}` has {rows} rows, and in training the longest had {most}; the last ones are read.")
    return last_rows(series, most)


def refuse_other_unit(series: SeriesSet, data: SeriesDataModule, path: Path) -> None:
    """Warn where rows lie much farther apart, or closer, than in training.

    Raises:
        DataError: they do by so much that the unit of time is another one.
    """
    if data.dated or not (series.length > 1).any():
        return
    step = median_step(series)
    ratio = max(step / data.step, data.step / step)
    said = f"{path}: rows are {step:.4g} apart in the middle, and {data.step:.4g} in training"
    if ratio >= LARGEST_RATIO:
        raise DataError(f"{said}; times seem to be in another unit than then ({data.time_unit}): give them in the same.")
    if ratio >= SUSPECT_STEP:
        warn(f"{said}; if times are in another unit than then ({data.time_unit}), give them in the same.")


def tell_of_other_values(series: SeriesSet, data: SeriesDataModule, path: Path) -> None:
    """Warn of channels without a value, and of those whose values lie far from those of the training series: they may be in
    another unit."""
    assert isinstance(data.reader, TableSeries)
    centres, widths = data.reader.fitted.undo(data.levels.centre), data.reader.fitted.width * data.levels.width
    for channel, name in enumerate(data.channel_names):
        known = series.values[..., channel][~np.isnan(series.values[..., channel])]
        if not len(known):
            warn(f"{path}: column `{name}` holds no value, so that it is told from what was usual in training.")
        elif abs(np.median(known) - centres[channel]) > FAR_VALUE * widths[channel]:
            warn(
                f"{path}: column `{name}` is {np.median(known):.4g} in the middle, and {centres[channel]:.4g} ± "
                f"{widths[channel]:.3g} in training; if it is in another unit, give it in the same."
            )
