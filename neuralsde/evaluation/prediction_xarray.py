"""Predictions as labelled arrays."""

from typing import Any

import numpy as np

from neuralsde.evaluation.extras import needed
from neuralsde.evaluation.prediction import Coordinates, Prediction


def dataset(prediction: Prediction) -> Any:
    """An `xarray.Dataset` of dimensions trial, time, unit and latent.

    Raises:
        ConfigError: xarray is not installed.
        NeuralSDEError: the prediction has no coordinates.
    """
    xarray = needed("xarray", "analysis", "prediction.to_xarray")
    axes = prediction.axes
    unit, entry = ("trial", "time", "unit"), "class" if axes.n_classes else "unit"
    arrays: dict[str, Any] = {
        "rates": (("trial", "time", entry), prediction.rates, {"units": unit_of(axes)}),
        "latents": (("trial", "time", "latent"), prediction.latents),
    }
    for name in ("lower", "upper"):
        if (values := getattr(prediction, name)) is not None:
            arrays[name] = (unit, values)
    if prediction.quantiles:
        arrays["quantiles"] = (("quantile", *unit), np.stack(list(prediction.quantiles.values())))
    coordinates = labels(prediction, axes)
    used = {dim for dims, *_ in arrays.values() for dim in dims}
    kept = {name: value for name, value in coordinates.items() if set(np.atleast_1d(value[0])) <= used}
    return xarray.Dataset(arrays, coords=kept, attrs={"bin_width_s": axes.bin_width_s, "kind": axes.kind})


def labels(prediction: Prediction, axes: Coordinates) -> dict[str, Any]:
    """Coordinates by name, each with its dimensions."""
    shared, bins = len(axes.times) == 1, prediction.rates.shape[1]
    found: dict[str, Any] = {
        "time": ("time", axes.times[0] if shared else np.arange(bins), {"units": axes.time_unit} if shared else {}),
        "observed": ("time", np.arange(bins) < axes.observed_bins),
        "heldout": ("unit", np.arange(prediction.rates.shape[2] // max(axes.n_classes, 1)) >= axes.heldin),
    }
    if not shared:
        found["elapsed"] = (("trial", "time"), axes.times, {"units": axes.time_unit})
    if axes.stamps is not None:
        found["stamp"] = (("trial", "time"), axes.stamps, {} if axes.stamps.dtype.kind == "M" else {"units": axes.time_unit})
    if (identity := axes.trial_id if axes.names is None else axes.names) is not None:
        found["trial"] = ("trial", identity)
    if len(axes.channel_names) == prediction.rates.shape[2]:
        found["class" if axes.n_classes else "unit"] = ("class" if axes.n_classes else "unit", list(axes.channel_names))
    if (names := axes.labels()) is not None:
        found["condition"] = ("trial", names)
    if prediction.quantiles:
        found["quantile"] = ("quantile", list(prediction.quantiles))
    return found


def unit_of(axes: Coordinates) -> str:
    """Of the rates."""
    return {"counts": "counts per bin", "real": "unit of the data"}.get(axes.kind, "probability")
