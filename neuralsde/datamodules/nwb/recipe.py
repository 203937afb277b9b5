"""What is cut from a recording: every setting of the NWB datamodule that shapes its tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neuralsde.datamodules.settings import from_settings
from neuralsde.errors import ConfigError

LONGEST_BIN_MS = 10_000


@dataclass(frozen=True)
class Recipe:
    """Settings that shape the tensors; each is a key of `configs/data/*.yaml`. Windows and lags are in ms.

    Args:
        name: group name in a submission file at `name_bin_width_s`; other widths append theirs (`mc_maze_20`).
        window_ms: observed window around the alignment time, [from, to).
        align: trial column whose time is 0 of the window.
        bin_width_s: width of a bin, a whole number of milliseconds.
        name_bin_width_s: the bin width that needs no suffix.
        forward_ms: length of the forecast window that follows; 0 for none.
        overlap: whether a window may run into the next trial's; else it is cut there.
        split_column: trial column with `train`, `val`, `test` or `none`; null draws the split.
        val_fraction: part of the trials drawn for validation where there is no split column.
        trial_filter: trials to keep, as {column: value} or {column: [values]}; null keeps all.
        heldout_column: boolean unit column; null draws the held-out units.
        heldout_fraction: part of the units drawn where there is no such column.
        unit_filter: units to keep, like `trial_filter`.
        split_seed: seed of both draws.
        behavior: name of a behaviour series; null for none.
        behavior_channels: names or numbers of the channels wanted; null for all.
        behavior_lag_ms: how much later than the spikes behaviour is taken.
        trial_behavior: trial columns to decode once per trial, in place of a series.
        decode_mask_column: trial column whose values get a decoder each (Area2: active, passive).
        condition_columns: trial columns that make a condition together.
        psth_kernel_ms: standard deviation of the Gaussian that smooths the PSTH.
        target_start: trial column before which held-out counts are not scored (DMFC: set_time).
        outlier_column: trial column that is not 0 in outliers, left out of PSTHs and of trial behaviour.
        jitter_column: trial column (a duration in ms) that limits the jitter to the window's length minus it.
        jitter_max_ms: largest random shift of the alignment time.
    """

    name: str
    window_ms: tuple[int, int]
    align: str = "start_time"
    bin_width_s: float = 0.005
    name_bin_width_s: float = 0.005
    forward_ms: int = 0
    overlap: bool = True
    split_column: str | None = "split"
    val_fraction: float = 0.2
    trial_filter: Mapping[str, Any] | None = None
    heldout_column: str | None = "heldout"
    heldout_fraction: float = 0.25
    unit_filter: Mapping[str, Any] | None = None
    split_seed: int = 0
    behavior: str | None = None
    behavior_channels: Sequence[str | int] | None = None
    behavior_lag_ms: int = 0
    trial_behavior: Sequence[str] = ()
    decode_mask_column: str | None = None
    condition_columns: Sequence[str] = ()
    psth_kernel_ms: float = 50.0
    target_start: str | None = None
    outlier_column: str | None = None
    jitter_column: str | None = None
    jitter_max_ms: int = 0

    def __post_init__(self):
        if self.window_ms[1] <= self.window_ms[0]:
            raise ConfigError(f"data.window_ms is {list(self.window_ms)}; give [from, to] in ms, from before to.")
        for key in ("bin_width_s", "name_bin_width_s"):
            check_width(key, getattr(self, key))
        self._check_ranges()
        low, high = self.window_ms
        fitting = low + max(round((high - low) / self.bin_ms), 1) * self.bin_ms
        self._check_bins("window_ms", high - low, [low, fitting])
        self._check_bins("forward_ms", self.forward_ms, self.forward_ms // self.bin_ms * self.bin_ms)
        if self.behavior and self.trial_behavior:
            raise ConfigError("data.behavior and data.trial_behavior are both given; set one of them to null.")

    def _check_ranges(self) -> None:
        for key in ("forward_ms", "split_seed", "jitter_max_ms"):
            if getattr(self, key) < 0:
                raise ConfigError(f"data.{key} is {getattr(self, key)}; give a whole number of 0 or above.")
        for key in ("val_fraction", "heldout_fraction"):
            if not 0 < getattr(self, key) < 1:
                raise ConfigError(f"data.{key} is {getattr(self, key)}; give a share between 0 and 1.")
        if not 1 <= self.psth_kernel_ms <= LONGEST_BIN_MS:
            raise ConfigError(f"data.psth_kernel_ms is {self.psth_kernel_ms}; give 1 to {LONGEST_BIN_MS} ms.")

    def _check_bins(self, key: str, length: int, fitting) -> None:
        if length % self.bin_ms:
            raise ConfigError(
                f"data.{key} spans {length} ms, which is no multiple of the bin width of {self.bin_ms} ms; "
                f"data.{key}={fitting} would fit."
            )

    @property
    def bin_ms(self) -> int:
        return round(self.bin_width_s * 1000)

    @property
    def n_bins(self) -> int:
        return (self.window_ms[1] - self.window_ms[0]) // self.bin_ms

    @property
    def forward_bins(self) -> int:
        return self.forward_ms // self.bin_ms

    @property
    def group_name(self) -> str:
        """Name of the group in a submission file."""
        return self.name if self.bin_ms == round(self.name_bin_width_s * 1000) else f"{self.name}_{self.bin_ms}"

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "Recipe":
        """A recipe from a config's keys, whose lists become tuples.

        Raises:
            ConfigError: a key is unknown, or a value impossible.
        """
        return from_settings(cls, settings, "an NWB recording")


def check_width(key: str, width_s: float) -> None:
    """Raises:
    ConfigError: a bin width is not a whole number of milliseconds, or absurd.
    """
    ms = width_s * 1000
    if not 1 - 1e-6 <= ms <= LONGEST_BIN_MS or abs(ms - round(ms)) > 1e-6:
        raise ConfigError(
            f"data.{key} is {width_s}; give a whole number of ms, such as 0.005, of at most {LONGEST_BIN_MS // 1000} s."
        )
