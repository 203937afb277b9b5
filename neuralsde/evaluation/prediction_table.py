"""Predictions as tables, a line for each value that was predicted."""

import csv
import io
from pathlib import Path

import numpy as np

from neuralsde.datamodules.irregular.dates import words_of
from neuralsde.errors import ConfigError
from neuralsde.evaluation.extras import needed
from neuralsde.evaluation.hdf5_file import write_image
from neuralsde.evaluation.prediction import Coordinates, Prediction

ENDINGS = (".csv", ".parquet")


def columns(prediction: Prediction) -> dict[str, np.ndarray]:
    """Columns by name, (line,), of one length; see `Prediction.to_table`.

    Raises:
        NeuralSDEError: the prediction has no coordinates.
    """
    axes = prediction.axes
    rows = np.ones(prediction.rates.shape[:2], bool) if axes.rows is None else axes.rows
    names = np.arange(len(prediction)).astype(np.str_) if axes.names is None else axes.names
    if axes.n_classes:
        return class_columns(prediction, rows, names)
    asked = rows[..., None] & (True if axes.shown is None else np.isnan(axes.shown))
    at, keys = lines(np.broadcast_to(asked, prediction.rates.shape), names, prediction)
    values = {"mean": prediction.rates, "median": prediction.quantiles.get(0.5)}
    values |= {"lower": prediction.lower, "upper": prediction.upper}
    values |= {f"q{p:g}": quantile for p, quantile in prediction.quantiles.items() if p != 0.5}
    return keys | {name: array[at] for name, array in values.items() if array is not None}


def shown_columns(prediction: Prediction) -> dict[str, np.ndarray]:
    """Columns of what the model was shown; see `Prediction.shown_table`.

    Raises:
        NeuralSDEError: the prediction has no coordinates.
    """
    axes = prediction.axes
    shown = np.full((len(prediction), 1, 1), np.nan) if axes.shown is None else axes.shown
    names = np.arange(len(prediction)).astype(np.str_) if axes.names is None else axes.names
    once = np.zeros(len(names), bool)
    once[np.unique(names, return_index=True)[1]] = True  # a series may be told of in several trials
    at, keys = lines(~np.isnan(shown) & once[:, None, None], names, prediction)
    return keys | {"value": shown[at]}


def lines(
    chosen: np.ndarray, names: np.ndarray, prediction: Prediction
) -> tuple[tuple[np.ndarray, ...], dict[str, np.ndarray]]:
    """Places of chosen values (trial, bin, channel), by series, channel and time, and the columns that say which they are."""
    axes = prediction.axes
    trial, row, channel = np.nonzero(chosen)
    stamps = np.broadcast_to(axes.times, prediction.rates.shape[:2]) if axes.stamps is None else axes.stamps
    _, first, series = np.unique(names, return_index=True, return_inverse=True)
    order = np.lexsort((stamps[trial, row], channel, first[series[trial]]))
    at = trial[order], row[order], channel[order]
    keys = {"series": names[at[0]], "time": stamps[at[:2]], "channel": channel_names(prediction, axes)[at[2]]}
    return at, keys


def class_columns(prediction: Prediction, rows: np.ndarray, names: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of the classes that the last row of each series is told to be of."""
    last = rows.shape[1] - 1 - rows[:, ::-1].argmax(1)
    told, classes = prediction.rates[np.arange(len(names)), last], channel_names(prediction, prediction.axes)
    return {
        "series": np.repeat(names, len(classes)),
        "class": np.tile(classes, len(names)),
        "probability": told.reshape(-1),
    }


def channel_names(prediction: Prediction, axes: Coordinates) -> np.ndarray:
    """Name of each channel or class, or its number where it has none."""
    width = prediction.rates.shape[2]
    return np.array(axes.channel_names if len(axes.channel_names) == width else range(width)).astype(np.str_)


def write(path: Path, prediction: Prediction) -> None:
    """Write the columns as .csv or .parquet, whole or not at all.

    Raises:
        ConfigError: `path` has another ending, or pyarrow is not installed.
        DataError: `path` cannot be written.
    """
    if path.suffix not in ENDINGS:
        raise ConfigError(f"{path} is no table: give a file that ends in {' or '.join(ENDINGS)}.")
    found = columns(prediction)
    image = csv_text(found, prediction.axes.zone).encode() if path.suffix == ".csv" else parquet(found, prediction.axes.zone)
    write_image(path, image)


def csv_text(found: dict[str, np.ndarray], zone: str) -> str:
    """Columns as text, dates in ISO form."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(found)
    plain = [words_of(column, zone) if column.dtype.kind == "M" else column for column in found.values()]
    writer.writerows(zip(*(column.tolist() if column.dtype.kind == "U" else map(str, column) for column in plain), strict=True))
    return buffer.getvalue()


def parquet(found: dict[str, np.ndarray], zone: str) -> bytes:
    """Columns as a Parquet file, dates as time stamps."""
    arrow, files = (needed(name, "irregular", "Writing .parquet") for name in ("pyarrow", "pyarrow.parquet"))
    dates = {name: np.datetime_data(column.dtype)[0] for name, column in found.items() if column.dtype.kind == "M"}
    kinds = {name: arrow.timestamp("ns" if unit == "ns" else "us", "UTC" if zone else None) for name, unit in dates.items()}
    buffer = io.BytesIO()
    files.write_table(arrow.table({name: arrow.array(column, kinds.get(name)) for name, column in found.items()}), buffer)
    return buffer.getvalue()
