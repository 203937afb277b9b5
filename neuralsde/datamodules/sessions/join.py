"""Recordings of different units side by side: a trial knows the units of its own recording, and NaN in place of all others."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from neuralsde.datamodules.trials import DataSpec, Session, TrialData, Trials
from neuralsde.errors import ConfigError

BLOCKS = ("heldin", "heldout", "heldin_forward", "heldout_forward")


def join_sessions(sessions: Mapping[str, TrialData], name: str, only: str | None = None) -> TrialData:
    """One recording of all trials of all sessions, session after session, and of all units, held-in ones first.

    Conditions are those of each session, with its name in front. Behaviour stays where all sessions have the same channels.

    Args:
        sessions: by name; each as its own module reads it.
        name: of the whole.
        only: session whose trials alone are taken, among the units of all; None for all trials.

    Raises:
        ConfigError: sessions differ in their bins, or are not of spike counts.
    """
    refuse_unlike(sessions)
    parts, specs = list(sessions.values()), [data.spec for data in sessions.values()]
    behaves = behaves_alike(parts)
    spec = joined_spec(specs, behaves)
    places = zip(
        offsets([s.observed_dim for s in specs]),
        offsets([s.target_dim - s.observed_dim for s in specs]),
        offsets([s.n_conditions for s in specs]),
        strict=True,
    )
    places = {key: Place(*place) for key, place in zip(sessions, places, strict=True) if only in (None, key)}
    taken = [sessions[key] for key in places]
    train, scored = (
        [placed(getattr(data, split), data.spec, spec, place) for data, place in zip(taken, places.values(), strict=True)]
        for split in ("train", "eval")
    )
    units = [units_of(data.spec, spec, place) for data, place in zip(taken, places.values(), strict=True)]
    first = (offsets([len(trials) for trials in split]) for split in (train, scored))
    return TrialData(
        name=name,
        spec=spec,
        train=stacked(train),
        eval=stacked(scored),
        behavior_kind=parts[0].behavior_kind if behaves else "",
        behavior_names=parts[0].behavior_names if behaves else (),
        angle_channels=parts[0].angle_channels if behaves else (),
        length_unit=parts[0].length_unit,
        condition_names=tuple(f"{key} {label}" for key, data in sessions.items() for label in data.condition_names),
        extra=dict(zip(places, scored, strict=True)),
        source="; ".join(data.source for data in parts),
        sessions=dict(zip(places, map(Session, taken, units, *first), strict=True)),
    )


class Place(NamedTuple):
    """Numbers in the whole of a session's first held-in unit, held-out unit and condition."""

    heldin: int
    heldout: int
    condition: int


def refuse_unlike(sessions: Mapping[str, TrialData]) -> None:
    """Raises:
    ConfigError: sessions differ in their bins, or are not of spike counts.
    """
    if not sessions:
        raise ConfigError("data.sessions is empty; name at least one recording.")
    for key, of in (("bin_width_s", "bins of {:g} s"), ("forward_bins", "{} forward bins"), ("kind", "{}")):
        found = {name: getattr(data.spec, key) for name, data in sessions.items()}
        if len(set(found.values())) > 1:
            told = ", ".join(f"{name} {of.format(value)}" for name, value in found.items())
            raise ConfigError(
                f"data.sessions hold {told}; one model needs the same in all of them: set data.sessions.NAME.{key}."
            )
    bins = {name: data.spec.observed_bins for name, data in sessions.items()}
    name, data = next(iter(sessions.items()))
    if data.spec.forward_bins and len(set(bins.values())) > 1:
        told = ", ".join(f"{name} {n}" for name, n in bins.items())
        raise ConfigError(
            f"data.sessions hold windows of {told} observed bins, after which forward bins would stand at different times: set "
            "data.sessions.NAME.observed_bins to the same number, or forward_bins to 0."
        )
    if data.spec.kind != "counts" or not data.spec.predicts_inputs:
        raise ConfigError(f"data.sessions.{name} holds {data.spec.kind} values; only spike counts are joined.")


def joined_spec(specs: list[DataSpec], behaves: bool) -> DataSpec:
    """Sizes of the whole: the longest window, all units, all conditions."""
    longest = [spec.longest_s for spec in specs if spec.longest_s is not None]
    observed, width, forward = max(s.observed_bins for s in specs), specs[0].bin_width_s, specs[0].forward_bins
    regular = (observed + forward - 1) * width
    return replace(
        specs[0],
        observed_dim=sum(s.observed_dim for s in specs),
        target_dim=sum(s.target_dim for s in specs),
        observed_bins=observed,
        behavior_dim=specs[0].behavior_dim if behaves else 0,
        n_conditions=sum(s.n_conditions for s in specs),
        longest_s=max([*longest, regular]) if longest else None,
        longest_gap_s=max(s.widest_s for s in specs) if longest else None,
    )


def behaves_alike(parts: list[TrialData]) -> bool:
    """Whether all sessions record the same behaviour, bin by bin."""
    return all(
        data.behavior_kind == "continuous" and (data.behavior_names, data.angle_channels, data.length_unit)
        == (parts[0].behavior_names, parts[0].angle_channels, parts[0].length_unit)
        for data in parts
    )  # fmt: skip


def offsets(sizes: list[int]) -> list[int]:
    """Where each part begins in the whole."""
    return [0, *np.cumsum(sizes)[:-1].tolist()]


def units_of(own: DataSpec, spec: DataSpec, place: Place) -> np.ndarray:
    """Numbers in the whole of a session's held-in and then held-out units."""
    kept = place.heldin + np.arange(own.observed_dim)
    return np.concatenate([kept, spec.observed_dim + place.heldout + np.arange(own.target_dim - own.observed_dim)])


def placed(trials: Trials, own: DataSpec, spec: DataSpec, place: Place) -> Trials:
    """A session's trials among the units and bins of the whole.

    Args:
        trials: of the session.
        own: its sizes.
        spec: sizes of the whole.
        place: where it begins in the whole.
    """
    sizes = {"heldin": (place.heldin, spec.observed_dim), "heldout": (place.heldout, spec.target_dim - spec.observed_dim)}
    found = {}
    for block in BLOCKS:
        (start, units), forward = sizes[block.split("_")[0]], block.endswith("forward")
        bins = spec.forward_bins if forward else spec.observed_bins
        whole = np.full((len(trials), bins, units), np.nan, np.float32)
        if (counts := getattr(trials, block)) is not None:
            whole[:, : counts.shape[1], start : start + counts.shape[2]] = counts
        found[block] = whole if units and bins else None
    behavior = None
    if spec.behavior_dim and trials.behavior is not None:
        behavior = np.full((len(trials), spec.observed_bins, spec.behavior_dim), np.nan, np.float32)
        behavior[:, : trials.behavior.shape[1]] = trials.behavior
    labels = np.full(len(trials), -1) if trials.condition is None else trials.condition
    return Trials(
        **found,
        behavior=behavior,
        condition=np.where(labels >= 0, labels + place.condition, -1) if spec.n_conditions else None,
        times=None if spec.longest_s is None else longer_times(trials, own, spec),
        trial_id=trials.trial_id,
    )


def longer_times(trials: Trials, own: DataSpec, spec: DataSpec) -> np.ndarray:
    """Times of as many bins as the whole has, (trial, bin): beyond the session's own, and where it has none, regular ones."""
    regular = (np.arange(spec.total_bins) * spec.bin_width_s).astype(np.float32)
    if trials.times is None:
        return np.repeat(regular[None], len(trials), axis=0)
    after = trials.times[:, -1:] + regular[1 : 1 + spec.total_bins - own.total_bins]
    return np.concatenate([trials.times, after], axis=1).astype(np.float32)


def stacked(parts: list[Trials]) -> Trials:
    """One behind the other."""
    found = {}
    for name in (*BLOCKS, "behavior", "condition", "times", "trial_id"):
        values = [getattr(part, name) for part in parts]
        known = [value for value in values if value is not None]
        found[name] = np.concatenate(known) if len(known) == len(values) else None
    return Trials(**found)
