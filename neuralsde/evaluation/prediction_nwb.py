"""Predictions in the Neurodata Without Borders format."""

import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import h5py
import numpy as np

import neuralsde
from neuralsde.datamodules.irregular.dates import SECONDS
from neuralsde.evaluation.extras import needed
from neuralsde.evaluation.hdf5_file import write_image
from neuralsde.evaluation.prediction import Coordinates, Prediction

GAP_BINS = 1
"""Bins between the last sample of a trial and the first of the next."""


def write(path: Path, prediction: Prediction, description: str) -> None:
    """Write the NWB file, whole or not at all.

    Raises:
        ConfigError: pynwb is not installed.
        DataError: `path` cannot be written.
        NeuralSDEError: the prediction has no coordinates.
    """
    pynwb, axes = needed("pynwb", "nlb", "prediction.to_nwb"), prediction.axes
    unit = SECONDS.get(axes.time_unit, 1.0)  # NWB's times are seconds
    axes = replace(axes, times=axes.times * unit, bin_width_s=axes.bin_width_s * unit)
    source = f"neuralsde {neuralsde.__version__}"
    nwb = pynwb.NWBFile(description, str(uuid4()), datetime.now(UTC), source_script=source, source_script_file_name="neuralsde")
    starts, clock = one_after_the_other(axes.times, len(prediction))
    add_trials(nwb, axes, starts, clock)
    module = nwb.create_processing_module(name="neuralsde", description=description)
    for name, values, settings in series(prediction, axes):
        timeline = values.reshape(-1, values.shape[-1])
        module.add(pynwb.TimeSeries(name=name, data=timeline, timestamps=clock.ravel(), **settings))
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file, pynwb.NWBHDF5IO(file=file, mode="w") as target:
        target.write(nwb)
        file.flush()
        image = buffer.getvalue()
    write_image(path, image)


def one_after_the_other(times: np.ndarray, n_trials: int) -> tuple[np.ndarray, np.ndarray]:
    """Start of each trial, (trial,), and time of each of its bins, (trial, bin), in seconds, on one clock."""
    own = np.broadcast_to(times, (n_trials, times.shape[1])).astype(np.float64)
    width = (own[:, -1] - own[:, 0]) / max(own.shape[1] - 1, 1)
    length = own[:, -1] - own[:, 0] + (1 + GAP_BINS) * np.where(width > 0, width, 1.0)
    starts = np.concatenate([[0.0], np.cumsum(length)[:-1]])
    return starts, starts[:, None] + own - own[:, :1]


def add_trials(nwb: Any, axes: Coordinates, starts: np.ndarray, clock: np.ndarray) -> None:
    """The trials table: when each trial lies on the clock, and which one of its file it is."""
    columns: dict[str, tuple[str, Any]] = {}
    if axes.trial_id is not None:
        columns["trial_id"] = ("identity of the trial in the recording's own file", axes.trial_id.tolist())
    if axes.names is not None:
        columns["series"] = ("name of the series in its own file", axes.names.tolist())
    if (names := axes.labels()) is not None:
        columns["condition"] = ("task condition", names)
    for name, (text, _) in columns.items():
        nwb.add_trial_column(name=name, description=text)
    for row, (start, own) in enumerate(zip(starts, clock, strict=True)):
        values = {name: column[row] for name, (_, column) in columns.items()}
        nwb.add_trial(start_time=float(start), stop_time=float(own[-1] + axes.bin_width_s), **values)


def series(prediction: Prediction, axes: Coordinates) -> list[tuple[str, np.ndarray, dict[str, Any]]]:
    """Name, values and description of each time series."""
    counts = axes.kind == "counts"
    rate = {"unit": "Hz", "conversion": 1 / axes.bin_width_s} if counts else {"unit": "a.u."}
    per_bin = f"stored as counts per bin of {axes.bin_width_s:g} s; " if counts else ""
    heldin = f"the first {axes.heldin} units are held-in, the others held-out"
    found = [
        ("rates", prediction.rates, rate | {"description": f"expected rates, {per_bin}{heldin}"}),
        ("latents", prediction.latents, {"unit": "a.u.", "description": "posterior mean of the latent state"}),
    ]
    for name in ("lower", "upper"):
        if (values := getattr(prediction, name)) is not None:
            found.append((name, values, {"unit": "a.u.", "description": f"{name} end of the predictive interval per bin"}))
    return found
