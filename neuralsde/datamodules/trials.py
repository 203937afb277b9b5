"""What every spiking data source hands on: trials of binned counts, and the sizes a model takes from them."""

from dataclasses import dataclass, field, fields, replace

import numpy as np


@dataclass(frozen=True)
class DataSpec:
    """Sizes that come from the data; configs read them and never type them.

    Args:
        observed_dim: held-in units, the model's input channels.
        target_dim: held-in and held-out units together, the rates to be predicted.
        observed_bins: bins in which the held-in units are observed, per trial.
        forward_bins: bins after them that must be forecast.
        bin_width_s: width of a bin, in seconds.
        behavior_dim: behaviour channels, 0 where there are none.
        n_conditions: conditions that trials are labelled with, 0 where there are none.
    """

    observed_dim: int
    target_dim: int
    observed_bins: int
    forward_bins: int
    bin_width_s: float
    behavior_dim: int = 0
    n_conditions: int = 0

    @property
    def total_bins(self) -> int:
        """Observed and forward bins together, the bins of the model's output."""
        return self.observed_bins + self.forward_bins


@dataclass(frozen=True)
class SpikeTrials:
    """One split of a recording, trial by trial. NaN marks a bin that was not recorded.

    Args:
        heldin: spike counts of the held-in units, (trial, observed bin, unit), float32.
        heldout: counts of the held-out units in the same bins; None in a test file, where they are withheld.
        heldin_forward: held-in counts in the forward bins, (trial, forward bin, unit); None where withheld.
        heldout_forward: held-out counts in the forward bins; None where withheld.
        behavior: (trial, bin, channel), lag applied, or one row per trial (trial, channel); float32.
        condition: index into the conditions, (trial,), int64; -1 for a trial that has none.
        decode_mask: trials that each behaviour decoder may use, (trial, decoder), bool.
        jitter: bins by which the window was shifted, (trial,), int64 (DMFC_RSG only).
        rates: true expected counts per bin, (trial, observed + forward bin, held-in + held-out unit), where they are known.
        trial_id: identity of each trial in its file, (trial,), int64.
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
    trial_id: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.heldin)

    def __getitem__(self, index: np.ndarray | slice) -> "SpikeTrials":
        """The trials at `index` (indices, a boolean mask or a slice)."""
        kept = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{name: value[index] for name, value in kept.items() if value is not None})


@dataclass(frozen=True)
class SpikeData:
    """A recording ready for training: two splits and what is needed to score them.

    Args:
        name: group name in a submission file, such as `mc_maze` or `mc_maze_20`.
        spec: sizes for the model.
        train: trials to fit on.
        eval: trials to score on (validation or test).
        psth: mean response per condition, (condition, observed bin, held-in + held-out unit), counts per bin, NaN-padded.
        behavior_kind: `continuous` (decode per bin: vel R²), `timing` (per trial: tp-corr), or empty.
        behavior_names: names of the behaviour channels.
        condition_names: one label per condition.
        extra: further splits that are scored beside `eval`, by name (such as `heldout_conditions`).
        source: where the data came from, one line for the run's record.
    """

    name: str
    spec: DataSpec
    train: SpikeTrials
    eval: SpikeTrials
    psth: np.ndarray | None = None
    behavior_kind: str = ""
    behavior_names: tuple[str, ...] = ()
    condition_names: tuple[str, ...] = ()
    extra: dict[str, SpikeTrials] = field(default_factory=dict)
    source: str = ""
