"""What every data source hands on: trials of binned counts or of other values, and the sizes a model takes from them."""

from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True)
class DataSpec:
    """Sizes that come from the data; configs read them and never type them.

    Args:
        observed_dim: held-in units, the model's input channels.
        target_dim: held-in and held-out units together, what is to be predicted.
        observed_bins: bins in which the held-in units are observed, per trial.
        forward_bins: bins after them that must be forecast.
        bin_width_s: width of a bin, in seconds.
        behavior_dim: behaviour channels, 0 where there are none.
        n_conditions: conditions that trials are labelled with, 0 where there are none.
        kind: what an entry is: `counts`, `real`, `binary` (0 or 1) or `category` (a class index).
        n_classes: classes of a `category`, 0 otherwise.
        longest_gap_s: longest time between neighbouring bins, in seconds; None where all are `bin_width_s` apart.
        longest_s: time from the first to the last bin of the longest trial, in seconds; None where bins follow each other at
            `bin_width_s`.
        predicts_inputs: whether the first `observed_dim` targets are the observed channels themselves.
    """

    observed_dim: int
    target_dim: int
    observed_bins: int
    forward_bins: int
    bin_width_s: float
    behavior_dim: int = 0
    n_conditions: int = 0
    kind: str = "counts"
    n_classes: int = 0
    longest_s: float | None = None
    longest_gap_s: float | None = None
    predicts_inputs: bool = True

    @property
    def total_bins(self) -> int:
        """Observed and forward bins together, the bins of the model's output."""
        return self.observed_bins + self.forward_bins

    @property
    def widest_s(self) -> float:
        """Longest time between neighbouring bins, in seconds."""
        return self.longest_gap_s or self.bin_width_s

    @property
    def duration_s(self) -> float:
        """Time from the first to the last bin, in seconds."""
        return self.longest_s or max(self.total_bins - 1, 1) * self.bin_width_s


@dataclass(frozen=True)
class Trials:
    """One split of a recording, trial by trial. NaN marks an entry that was not recorded.

    Args:
        heldin: what the model observes: counts (or other values) of the held-in units, (trial, observed bin, unit), float32.
        heldout: counts of the held-out units in the same bins; None in a test file, where they are withheld.
        heldin_forward: held-in counts in the forward bins, (trial, forward bin, unit); None where withheld.
        heldout_forward: held-out counts in the forward bins; None where withheld.
        behavior: (trial, bin, channel), lag applied, or one row per trial (trial, channel); float32.
        condition: index into the conditions, (trial,), int64; -1 for a trial that has none.
        decode_mask: trials that each behaviour decoder may use, (trial, decoder), bool.
        jitter: bins by which the window was shifted, (trial,), int64 (DMFC_RSG only).
        rates: true expected values (counts per bin, or the signal without its noise), (trial, observed + forward bin,
            held-in + held-out unit), where they are known.
        states: true state of the system behind them, (trial, observed + forward bin, state), where it is known.
        times: time of each bin, (trial, observed + forward bin), in seconds, increasing; None where bins follow each other
            at `bin_width_s`.
        trial_id: identity of each trial in its file, (trial,), int64.
        targets: what is to be predicted, where it is not the units themselves, (trial, observed + forward bin, target),
            float32; NaN where not known.
        offset: what a trivial predictor says of each target, in the data's unit, same shape; None for 0.
        shown: what the model observes of the targets, in the data's unit, same shape, for pictures; NaN where nothing.
        scale: unit of `targets`, such that the data's own values are `offset + scale * targets`, same shape; None for 1.
        rows: which bins a prediction is of, (trial, observed + forward bin), bool: not those that pad a series, nor, of a
            forecast, those before it; None for all.
        names: what each trial is called in its file, (trial,), str.
        stamps: time of each bin as its file tells it, (trial, observed + forward bin), float64 or datetime64.
    """

    heldin: np.ndarray
    heldout: np.ndarray | None = None
    heldin_forward: np.ndarray | None = None
    heldout_forward: np.ndarray | None = None
    behavior: np.ndarray | None = None
    condition: np.ndarray | None = None
    decode_mask: np.ndarray | None = None
    jitter: np.ndarray | None = None
    rates: np.ndarray | None = None
    states: np.ndarray | None = None
    times: np.ndarray | None = None
    trial_id: np.ndarray | None = None
    targets: np.ndarray | None = None
    offset: np.ndarray | None = None
    shown: np.ndarray | None = None
    scale: np.ndarray | None = None
    rows: np.ndarray | None = None
    names: np.ndarray | None = None
    stamps: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.heldin)

    def __getitem__(self, index: np.ndarray | slice) -> "Trials":
        """The trials at `index` (indices, a boolean mask or a slice)."""
        kept = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{name: value[index] for name, value in kept.items() if value is not None})

    def in_units(self, predicted: np.ndarray) -> np.ndarray:
        """Predictions of the targets, (trial, observed + forward bin, target), in the data's own unit."""
        scaled = predicted if self.scale is None else (predicted * self.scale).astype(predicted.dtype)
        return scaled if self.offset is None else (scaled + self.offset).astype(predicted.dtype)


class TrivialPrediction(NamedTuple):
    """What a predictor without learned dynamics says of trials' targets, in the data's own unit.

    Args:
        mean: (trial, observed + forward bin, target).
        std: root mean square of its errors on the training trials, a shape that broadcasts to that of `mean`.
    """

    mean: np.ndarray
    std: np.ndarray


@dataclass(frozen=True)
class TrialData:
    """A recording ready for training: two splits and what is needed to score them.

    Args:
        name: name of the recording, and group name in a submission file, such as `mc_maze` or `mc_maze_20`.
        spec: sizes for the model.
        train: trials to fit on.
        eval: trials to score on (validation or test).
        psth: mean response per condition, (condition, observed bin, held-in + held-out unit), counts per bin, NaN-padded.
        behavior_kind: `continuous` (decode per bin: vel R²), `timing` (per trial: tp-corr), or empty.
        behavior_names: names of the behaviour channels.
        angle_channels: channels of behaviour that are the cosine and the sine of one direction, in pairs.
        length_unit: unit of length of a velocity in the behaviour.
        condition_names: one label per condition.
        extra: further splits that are scored beside `eval`, by name (such as `heldout_conditions`).
        source: where the data came from, one line for the run's record.
        target_names: of what is predicted, class by class for each where there are classes; empty for numbers.
        time_unit: of the trials' times.
        zone: offset from UTC that the trials' dates are told in, such as `+00:00`; empty where none was given.
        is_video: whether a bin is a square frame and a channel a pixel, row by row.
        trivial: what trivial predictors say of the evaluation trials' targets, by the predictor's name.
        deviations: standard deviation of each target in the training trials, (target,), where targets are in units of their
            own: errors of all together are measured in these; None where one unit is that of all.
        sessions: the recordings that it was joined from, by name.
    """

    name: str
    spec: DataSpec
    train: Trials
    eval: Trials
    psth: np.ndarray | None = None
    behavior_kind: str = ""
    behavior_names: tuple[str, ...] = ()
    angle_channels: tuple[tuple[int, int], ...] = ()
    length_unit: str = "mm"
    condition_names: tuple[str, ...] = ()
    extra: dict[str, Trials] = field(default_factory=dict)
    source: str = ""
    target_names: tuple[str, ...] = ()
    time_unit: str = "s"
    zone: str = ""
    is_video: bool = False
    trivial: dict[str, TrivialPrediction] = field(default_factory=dict)
    deviations: np.ndarray | None = None
    sessions: dict[str, "Session"] = field(default_factory=dict)

    @property
    def called(self) -> str:
        """What its trials are called: those with names of their own are series, whose bins are rows."""
        return "trials" if self.eval.names is None else "series"


class Session(NamedTuple):
    """One of the recordings that were joined.

    Args:
        data: the recording by itself.
        units: numbers of its units, held-in and then held-out, among all, (unit,).
        first_train: number of its first training trial among all.
        first_eval: the same of its first evaluation trial.
    """

    data: TrialData
    units: np.ndarray
    first_train: int
    first_eval: int
