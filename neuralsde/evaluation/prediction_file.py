"""Predictions in HDF5 files."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from neuralsde.datamodules.nwb import hdf5
from neuralsde.errors import DataError
from neuralsde.evaluation.hdf5_file import write_file
from neuralsde.evaluation.prediction import Coordinates, Prediction

FORMAT = "neuralsde prediction 1"
ARRAYS = ("rates", "latents", "lower", "upper")
TRIALS = ("times", "trial_id", "condition", "shown")
SINGLE = ("bin_width_s", "observed_bins", "heldin", "n_classes", "kind", "time_unit", "zone")
WORDS = ("condition_names", "channel_names")
STAMPS = "stamps"


def write(path: Path, prediction: Prediction) -> None:
    """Write `prediction`, whole or not at all."""

    def fill(file: h5py.File) -> None:
        file.attrs["format"] = FORMAT
        put(file, {name: getattr(prediction, name) for name in ARRAYS})
        put(file.create_group("quantiles"), {repr(float(p)): values for p, values in prediction.quantiles.items()})
        if (axes := prediction.coordinates) is not None:
            group = file.create_group("coordinates")
            put(group, {name: getattr(axes, name) for name in TRIALS})
            put(group, {"rows": None if axes.rows is None else axes.rows.astype(np.uint8)})
            put(group, {"names": None if axes.names is None else axes.names.astype(h5py.string_dtype())})
            put(group, {STAMPS: plain_stamps(axes.stamps)})
            group.attrs[STAMPS] = "" if axes.stamps is None or axes.stamps.dtype.kind != "M" else axes.stamps.dtype.str
            group.attrs.update({name: getattr(axes, name) for name in SINGLE})
            group.attrs.update({name: np.array(getattr(axes, name), dtype=h5py.string_dtype()) for name in WORDS})

    write_file(path, fill)


def plain_stamps(stamps: np.ndarray | None) -> np.ndarray | None:
    """Numbers as they are, and dates as whole numbers of the unit that the attribute `stamps` names."""
    return stamps if stamps is None or stamps.dtype.kind != "M" else stamps.astype(np.int64)


def put(group: h5py.Group, arrays: dict[str, np.ndarray | None]) -> None:
    """Store the arrays that there are, compressed."""
    for name, values in arrays.items():
        if values is not None:
            group.create_dataset(name, data=values, compression="gzip" if values.size else None)


def read(path: Path) -> Prediction:
    """The prediction in a file that `write` wrote.

    Raises:
        DataError: the file is missing, damaged or of another kind.
    """
    if not path.is_file():
        raise DataError(f"There is no file {path}: give one that prediction.save or `neuralsde predict` wrote.")
    with hdf5.open_hdf5(path, "HDF5 file, or a damaged one", "predict again") as file:
        if not np.array_equal(hdf5.attribute(file, "format"), FORMAT):
            raise DataError(f"{path} holds no prediction: give a file that prediction.save or `neuralsde predict` wrote.")
        try:
            return sound(read_file(file), path)
        except (KeyError, ValueError, TypeError) as error:
            raise DataError(f"{path} is damaged ({hdf5.one_line(error)}): predict again.") from error


def read_file(file: h5py.File) -> Prediction:
    quantiles, coordinates = (hdf5.group_in(file, name) for name in ("quantiles", "coordinates"))
    by_level = {} if quantiles is None else {float(p): needed(quantiles, p) for p in hdf5.names_in(quantiles)}
    axes = None if coordinates is None else read_coordinates(coordinates)
    intervals = {name: numbers(file, name) for name in ("lower", "upper")}
    return Prediction(needed(file, "rates"), needed(file, "latents"), **intervals, quantiles=by_level, coordinates=axes)


def numbers(group: h5py.Group, name: str) -> np.ndarray | None:
    """An array of numbers; None where there is none.

    Raises:
        ValueError: it holds something else.
    """
    dataset = hdf5.dataset_in(group, name)
    if dataset is None:
        return None
    if dataset.dtype.kind not in "iuf":
        raise ValueError(f"`{name}` holds {dataset.dtype}")
    return hdf5.read(dataset)


def needed(group: h5py.Group, name: str) -> np.ndarray:
    """An array that has to be there."""
    if (found := numbers(group, name)) is None:
        raise KeyError(f"there is no `{name}`")
    return found


def read_coordinates(group: h5py.Group) -> Coordinates:
    words: dict[str, Any] = {name: tuple(map(str, np.ravel(hdf5.attribute(group, name, ())))) for name in WORDS}
    kinds = {"bin_width_s": float, "observed_bins": int, "heldin": int, "n_classes": int, "kind": str}
    settings: dict[str, Any] = {name: kind(np.asarray(hdf5.attribute(group, name)).item()) for name, kind in kinds.items()}
    settings |= {name: str(hdf5.attribute(group, name, otherwise)) for name, otherwise in (("time_unit", "s"), ("zone", ""))}
    arrays: dict[str, Any] = {name: numbers(group, name) for name in ("trial_id", "condition", "shown", "rows", STAMPS)}
    if arrays["rows"] is not None:
        arrays["rows"] = arrays["rows"].astype(bool)
    if (dates := str(hdf5.attribute(group, STAMPS, ""))) and (stamps := arrays[STAMPS]) is not None:
        arrays[STAMPS] = stamps.astype(np.int64).astype(np.dtype(dates))
    return Coordinates(needed(group, "times"), **arrays, **settings, **words, names=texts(group, "names"))


def texts(group: h5py.Group, name: str) -> np.ndarray | None:
    """An array of words; None where there is none."""
    dataset = hdf5.dataset_in(group, name)
    if dataset is None:
        return None
    found = hdf5.read(dataset)
    return np.array([w.decode(errors="replace") if isinstance(w, bytes) else str(w) for w in found], dtype=np.str_)


def sound(prediction: Prediction, path: Path) -> Prediction:
    """`prediction`, where its arrays and its axes are of the same trials and bins.

    Raises:
        DataError: they are not.
    """
    shape, axes = prediction.rates.shape, prediction.coordinates
    fits = prediction.rates.ndim == prediction.latents.ndim == 3 and prediction.latents.shape[:2] == shape[:2]
    beside = [prediction.lower, prediction.upper, *prediction.quantiles.values()]
    fits &= all(array.ndim == 3 and array.shape[:2] == shape[:2] for array in beside if array is not None)
    if fits and axes is not None:
        fits = axes.times.ndim == 2 and axes.times.shape[0] in (1, shape[0]) and axes.times.shape[1] == shape[1]
        fits &= all(array.shape == shape[:1] for array in (axes.trial_id, axes.condition, axes.names) if array is not None)
        fits &= all(array.shape == shape[:2] for array in (axes.stamps, axes.rows) if array is not None)
        fits &= axes.shown is None or axes.shown.shape == shape
        fits &= 0 <= axes.observed_bins <= shape[1] and axes.heldin >= 0 and axes.n_classes >= 0
        known = len(axes.condition_names) or np.inf
        fits &= axes.condition is None or bool(((axes.condition >= -1) & (axes.condition < known)).all())
    if not fits:
        raise DataError(f"{path} is damaged (its arrays are not of the same trials and bins): predict again.")
    return prediction
