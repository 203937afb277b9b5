"""What is decoded: values per bin, angles per bin, values per trial, and conditions."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from neuralsde.datamodules.trials import TrialData, Trials
from neuralsde.errors import ConfigError, DataError

SLOW = 0.2
"""Below this share of the training trials' fast speeds (95 %) a direction is that of noise, and left out."""
KINDS = ("values", "angle", "trial", "condition")


@dataclass(frozen=True)
class Target:
    """What is to be decoded of training and evaluation trials.

    Args:
        name: of the behaviour.
        kind: `values` per bin, `angle` per bin (in radians), `trial` (values per trial) or `condition`.
        train: (trial, bin, channel), of trials and conditions with one bin; NaN (of conditions -1) where not known.
        eval: likewise.
        channels: names of the channels; of conditions, those of the conditions.
    """

    name: str
    kind: str
    train: np.ndarray
    eval: np.ndarray
    channels: tuple[str, ...]

    @property
    def per_bin(self) -> bool:
        return self.kind in ("values", "angle")


class Pair(NamedTuple):
    """An array of training trials, and one of evaluation trials."""

    train: np.ndarray
    eval: np.ndarray


def target_of(data: TrialData, name: str, kind: str | None) -> Target:
    """The target `name` of a recording: `condition`, its behaviour (by any name), or a channel of it.

    Raises:
        ConfigError: the kind is none, or does not fit the behaviour.
        DataError: the recording has no such behaviour, or not for the trials to be scored.
    """
    kind = kind or kind_of(data, name)
    if kind not in KINDS:
        raise ConfigError(f"decode got kind={kind!r}; give {', '.join(KINDS[:-1])} or {KINDS[-1]}.")
    if kind == "condition":
        return conditions(data, name)
    values, channels = chosen(data, name)
    if kind == "angle":
        values, channels = angles(name, values, channels), ("angle",)
        refuse_unknown(name, data.name, values)
        return Target(name, kind, *values, channels)
    if (values.train.ndim == 2) != (kind == "trial"):
        found = "one row per trial" if values.train.ndim == 2 else "one row per bin"
        raise ConfigError(f"decode got kind={kind!r}, but {name} of {data.name} has {found}; leave kind out.")
    if kind == "trial":
        values = Pair(*(part[:, None] for part in values))
    refuse_unknown(name, data.name, values)
    return Target(name, kind, *values, channels)


def kind_of(data: TrialData, name: str) -> str:
    """The kind that a name suggests."""
    if name == "condition":
        return "condition"
    return "trial" if data.behavior_kind == "timing" else "values"


def conditions(data: TrialData, name: str) -> Target:
    """Conditions, as a target of one bin and one channel."""
    labels = data.train.condition, data.eval.condition
    if labels[0] is None or labels[1] is None or not all((part >= 0).any() for part in labels if part is not None):
        raise DataError(
            f"{data.name} has no conditions to decode; name the trial columns that make one with data.condition_columns=[…], "
            "or load(…, data={'condition_columns': […]})."
        )
    names = data.condition_names or tuple(map(str, range(int(max(part.max() for part in labels if part is not None)) + 1)))
    return Target(name, "condition", labels[0][:, None, None], labels[1][:, None, None], names)


def chosen(data: TrialData, name: str) -> tuple[Pair, tuple[str, ...]]:
    """The behaviour, or the channel of it that has this name, and the names of its channels.

    Raises:
        DataError: the recording has none.
    """
    train, scored = behavior_of(data, data.train, "training"), behavior_of(data, data.eval, "evaluation")
    names = data.behavior_names or tuple(f"channel {i}" for i in range(train.shape[-1]))
    kept = [names.index(name)] if name in names else list(range(len(names)))
    return Pair(train[..., kept], scored[..., kept]), tuple(names[i] for i in kept)


def behavior_of(data: TrialData, trials: Trials, split: str) -> np.ndarray:
    """Behaviour of a split, float64.

    Raises:
        DataError: there is none.
    """
    if trials.behavior is None:
        there = "its data name none" if data.train.behavior is None else "its file withholds it"
        raise DataError(
            f"{data.name} has no behaviour for its {split} trials ({there}): name a series, run.decode('hand_vel'), load data "
            "that hold one, load(…, data={'behavior': 'hand_vel'}), or decode 'condition'."
        )
    return trials.behavior.astype(np.float64)


def angles(name: str, values: Pair, channels: tuple[str, ...]) -> Pair:
    """The direction of two channels, or one channel that is an angle in radians, (trial, bin, 1).

    Raises:
        ConfigError: there are other channels.
    """
    if values.train.ndim != 3 or len(channels) > 2:
        raise ConfigError(
            f"decode got kind='angle', but {name} has channels {', '.join(channels)}; give an angle in radians per bin, or a "
            "series of two channels x and y."
        )
    if len(channels) == 1:
        return values
    least = SLOW * np.nanquantile(np.linalg.norm(values.train, axis=-1), 0.95)
    return Pair(*(direction(part, least) for part in values))


def direction(vectors: np.ndarray, least: float) -> np.ndarray:
    """Angle of each vector, (trial, bin, 1), in radians; NaN where it is shorter than `least`."""
    angle = np.arctan2(vectors[..., 1], vectors[..., 0])
    return np.where(np.linalg.norm(vectors, axis=-1) > least, angle, np.nan)[..., None]


def refuse_unknown(name: str, recording: str, values: Pair) -> None:
    """Raises:
    DataError: nothing is known of a split.
    """
    for split, part in zip(("training", "evaluation"), values, strict=True):
        if np.isnan(part).all():
            raise DataError(f"{name} of {recording} was recorded in none of its {split} trials; choose another behaviour.")
