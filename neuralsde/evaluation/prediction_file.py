"""Predictions in HDF5 files."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from neuralsde.datamodules.nwb.hdf5 import one_line
from neuralsde.errors import DataError
from neuralsde.evaluation.hdf5_file import write_file
from neuralsde.evaluation.prediction import Coordinates, Prediction

FORMAT = "neuralsde prediction 1"
ARRAYS = ("rates", "latents", "lower", "upper")
TRIALS = ("times", "trial_id", "condition")
NUMBERS = ("bin_width_s", "observed_bins", "heldin", "n_classes", "kind")


def write(path: Path, prediction: Prediction) -> None:
    """Write `prediction`, whole or not at all."""

    def fill(file: h5py.File) -> None:
        file.attrs["format"] = FORMAT
        put(file, {name: getattr(prediction, name) for name in ARRAYS})
        put(file.create_group("quantiles"), {repr(float(p)): values for p, values in prediction.quantiles.items()})
        if (axes := prediction.coordinates) is not None:
            group = file.create_group("coordinates")
            put(group, {name: getattr(axes, name) for name in TRIALS})
            group.attrs.update({name: getattr(axes, name) for name in NUMBERS})
            group.attrs["condition_names"] = np.array(axes.condition_names, dtype=h5py.string_dtype())

    write_file(path, fill)


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
    try:
        with h5py.File(path) as file:
            if file.attrs.get("format") != FORMAT:
                raise DataError(f"{path} holds no prediction: give a file that prediction.save or `neuralsde predict` wrote.")
            return read_file(file)
    except (OSError, KeyError, RuntimeError) as error:
        raise DataError(
            f"{path} cannot be read ({one_line(error)}): it is damaged or no HDF5 file, so predict again."
        ) from error


def read_file(file: Any) -> Prediction:
    arrays = {name: file[name][()] for name in ARRAYS if name in file}
    quantiles = {float(name): values[()] for name, values in file["quantiles"].items()}
    axes = read_coordinates(file["coordinates"]) if "coordinates" in file else None
    return Prediction(**arrays, quantiles=quantiles, coordinates=axes)


def read_coordinates(group: Any) -> Coordinates:
    arrays = {name: group[name][()] for name in TRIALS if name in group}
    names = tuple(str(name) for name in group.attrs["condition_names"])
    numbers = {name: plain(group.attrs[name]) for name in NUMBERS}
    return Coordinates(**arrays, **numbers, condition_names=names)


def plain(value: Any) -> Any:
    """A NumPy scalar as Python's own; a text as it is."""
    return value.item() if isinstance(value, np.generic) else value
