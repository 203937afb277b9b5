"""What a datamodule of series has learned from its training series: all that predictions of other series need of them."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neuralsde.datamodules.irregular.scaling import Scale
from neuralsde.datamodules.trials import DataSpec
from neuralsde.errors import CheckpointError

DAMAGED = "What the checkpoint holds of its training series is damaged"


@dataclass(frozen=True)
class Learned:
    """Statistics of the training series, in the reader's units where nothing else is said, and names.

    Args:
        channel_names: one per channel.
        class_names: one per class; empty without classes.
        time_unit: of all times.
        zone: of dates, as in `SeriesData`.
        dated: whether times were dates.
        observed: rows of the longest series of the data.
        step: median time between neighbouring rows.
        least: least time between rows.
        units: what a model's inputs are scaled by, channel by channel.
        levels: mean and standard deviation of each channel's values.
        means: of each channel, as trivial predictors take them, (channel,).
        static: what static columns are scaled by; None without any.
        fitted: the reader's own scale, from the file's units to its.
        rest: units of what is predicted, (1 + ahead, target): of the observed rows, then of each row ahead; None of classes.
        usual: median time from the last row to each row ahead, (ahead,).
        nearest: shortest time from a last row to a row ahead.
        reach: longest of these times.
    """

    channel_names: tuple[str, ...]
    class_names: tuple[str, ...]
    time_unit: str
    zone: str
    dated: bool
    observed: int
    step: float
    least: float
    units: Scale
    levels: Scale
    means: np.ndarray
    static: Scale | None
    fitted: Scale
    rest: np.ndarray | None
    usual: np.ndarray
    nearest: float
    reach: float

    def plain(self) -> dict[str, Any]:
        """The same as plain values and tensors, for a checkpoint."""
        return {field.name: plain_of(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def of(cls, plain: dict[str, Any], spec: DataSpec) -> "Learned":
        """What `plain` gave.

        Args:
            plain: read from a checkpoint.
            spec: the model's sizes.

        Raises:
            CheckpointError: it is something else, or of other sizes.
        """
        try:
            values: dict[str, Any] = {name: read(plain[name]) for name, read in READ.items()}
            found = cls(**values)
            channels = len(found.channel_names)
            fits = found.units.width.shape == found.levels.width.shape == found.fitted.width.shape == (channels,)
            fits &= found.means.shape == (channels,) and found.usual.ndim == 1
            fits &= found.rest is None or found.rest.shape == (1 + len(found.usual), channels)
            fits &= found.observed == spec.observed_bins and len(found.usual) == spec.forward_bins
            fits &= len(found.class_names) == spec.n_classes and (spec.n_classes > 0 or channels == spec.target_dim)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(f"{DAMAGED} ({error}): train again.") from error
        if not fits:
            raise CheckpointError(f"{DAMAGED} (sizes differ): train again.")
        return found


def plain_of(value: Any) -> Any:
    """Plain values and tensors."""
    if isinstance(value, Scale):
        return torch.from_numpy(np.stack([value.centre, value.width]).astype(np.float64))
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.astype(np.float64))
    return list(value) if isinstance(value, tuple) else value


def words(value: Any) -> tuple[str, ...]:
    return tuple(str(word) for word in value)


def array(value: Tensor | None) -> np.ndarray | None:
    return None if value is None else value.numpy()


def scale(value: Tensor | None) -> Scale | None:
    if value is None:
        return None
    centre, width = value.numpy()
    return Scale(centre, width)


READ: dict[str, Any] = {
    "channel_names": words,
    "class_names": words,
    "time_unit": str,
    "zone": str,
    "dated": bool,
    "observed": int,
    "step": float,
    "least": float,
    "units": scale,
    "levels": scale,
    "means": array,
    "static": scale,
    "fitted": scale,
    "rest": array,
    "usual": array,
    "nearest": float,
    "reach": float,
}
"""How each entry of a checkpoint becomes a field."""
