"""What the arrays of a file are and what is cut from them: every setting of `ArrayData` that shapes its tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from neuralsde.datamodules.settings import is_number, is_text
from neuralsde.errors import ConfigError

KINDS = ("counts", "real")
LEAST = {
    "rebin": 1, "observed_bins": 1, "window_bins": 2, "forward_bins": 0, "heldout_every": 2, "blocks": 2, "gap_bins": 0,
    "split_seed": 0, "folds": 3, "fold": 0, "epoch_trials": 1, "psth_kernel_ms": 0,
}  # fmt: skip
"""Least value of each whole number; null is allowed where its type allows it."""


@dataclass(frozen=True)
class Layout:
    """Settings that shape the tensors; each is a key of `configs/data/arrays.yaml`. Bins are those after `rebin`.

    Args:
        name: of the recording.
        spikes: array of counts (or real values), (trial, bin, unit), or (bin, unit) of a continuous recording.
        length: array of each trial's number of bins, (trial,); a file without `length` has trials of one length.
        timestep: array of each bin's number in its trial, (trial, bin), where the file leaves bins out.
        condition: array of one label per trial.
        behavior: arrays (trial, bin, channel) or (trial, bin), without `trial` of a continuous recording.
        behavior_channels: channels to take of them, by name of the array; all of the others.
        angles: arrays of behaviour that are directions, in radians; each becomes two channels, its cosine and sine.
        length_unit: unit of length of a velocity in `behavior`, for pictures.
        kind: `counts` or `real`.
        bin_width_s: width of the file's bins, in seconds; null takes `bin_ms` from the file.
        rebin: bins of the file that become one: sums of counts, means of all else.
        observed_bins: bins of a trial that are observed; null for all but the forward ones.
        window_bins: bins of a window of a continuous recording, observed and forward ones.
        forward_bins: last bins of a trial or window, to be forecast.
        moving: {array: name, above: speed}; a trial keeps the bins in which the array's norm is above.
        heldout: units to hold out: their numbers, or how many to draw.
        heldout_every: hold out every so many-th unit.
        silent_units: `drop` or `refuse` units that never fire in training trials.
        shares: of the trials or blocks for training, validation and test.
        blocks: equal stretches of a continuous recording, each of which belongs to one split.
        gap_bins: bins left out where the block before belongs to another split.
        split_seed: seed of the split, and of the units drawn.
        folds: cross-validate in so many folds instead of `shares`, which then say nothing; see `draw_split`.
        fold: which of them this is, from 0.
        resample: whether the training windows of a continuous recording are drawn anew in each epoch; else they lie side by
            side.
        epoch_trials: windows per epoch, where drawn; null for as many as lie side by side.
        psth_kernel_ms: standard deviation of the Gaussian that smooths mean responses, the targets of PSTH R².

    Raises:
        ConfigError: a setting is impossible, or two do not fit each other.
    """

    name: str = "arrays"
    spikes: str = "spikes"
    length: str | None = "length"
    timestep: str | None = None
    condition: str | None = None
    behavior: Sequence[str] = ()
    behavior_channels: Mapping[str, Sequence[int]] | None = None
    angles: Sequence[str] = ()
    length_unit: str = "mm"
    kind: str = "counts"
    bin_width_s: float | None = None
    rebin: int = 1
    observed_bins: int | None = None
    window_bins: int | None = None
    forward_bins: int = 0
    moving: Mapping[str, str | float] | None = None
    heldout: int | Sequence[int] | None = None
    heldout_every: int | None = None
    silent_units: str = "drop"
    shares: tuple[float, float, float] = (0.7, 0.15, 0.15)
    blocks: int = 20
    gap_bins: int = 0
    split_seed: int = 0
    folds: int | None = None
    fold: int = 0
    resample: bool = True
    epoch_trials: int | None = None
    psth_kernel_ms: float = 50.0

    def __post_init__(self):
        for key, least in LEAST.items():
            value = getattr(self, key)
            if value is not None and value < least:
                raise ConfigError(f"data.{key} is {value}; give {least} or above.")
        if self.bin_width_s is not None and self.bin_width_s <= 0:
            raise ConfigError(f"data.bin_width_s is {self.bin_width_s}; give a number of seconds above 0.")
        for key, choices in (("kind", KINDS), ("silent_units", ("drop", "refuse"))):
            if getattr(self, key) not in choices:
                raise ConfigError(f"data.{key} is `{getattr(self, key)}`; give {' or '.join(choices)}.")
        self._check_shares()
        self._check_behavior()
        self._check_pairs()

    def _check_shares(self) -> None:
        if self.folds is None and (min(self.shares) < 0 or not self.shares[0] or abs(sum(self.shares) - 1) > 1e-6):
            raise ConfigError(
                f"data.shares is {list(self.shares)}; give shares for training, validation and test that are 0 or above, the "
                "first one above, and add up to 1."
            )
        if self.fold >= (self.folds or 1):
            raise ConfigError(f"data.fold is {self.fold}, but data.folds {self.folds or 'null'}; folds are numbered from 0.")

    def _check_behavior(self) -> None:
        names = [*self.behavior, *self.angles]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ConfigError(f"data.behavior and data.angles name `{twice[0]}` twice; name an array once.")
        for name in self.behavior_channels or {}:
            if name not in self.behavior:
                raise ConfigError(f"data.behavior_channels names `{name}`, but data.behavior is {list(self.behavior)}.")

    def _check_pairs(self) -> None:
        if self.heldout is not None and self.heldout_every is not None:
            raise ConfigError("data.heldout and data.heldout_every are both given; set one of them to null.")
        if self.window_bins is not None and self.forward_bins >= self.window_bins:
            raise ConfigError(
                f"data.forward_bins is {self.forward_bins}, but data.window_bins {self.window_bins}; leave bins to observe."
            )
        if self.rebin > 1 and self.timestep is not None:
            raise ConfigError(
                "data.rebin sums neighbouring bins, but data.timestep says that some were left out; set rebin to 1."
            )
        moving = self.moving
        if moving is not None and not (
            set(moving) == {"array", "above"} and is_text(moving["array"]) and is_number(moving["above"])
        ):
            raise ConfigError(f"data.moving is {dict(moving)}; give {{array: name, above: speed}}, such as hand_vel and 5.0.")
