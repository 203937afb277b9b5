"""Forecasting of MuJoCo's Hopper: the published file of the neural CDE and SDE papers, cut into windows."""

from pathlib import Path

import numpy as np

from neuralsde.datamodules.arrays.file import UNREADABLE
from neuralsde.datamodules.checksums import sha256_of
from neuralsde.datamodules.irregular.assemble import without_empty_rows
from neuralsde.datamodules.irregular.checks import checked_seed, checked_share, existing
from neuralsde.datamodules.irregular.missing import TORCH_SEED, torch_generator_56789
from neuralsde.datamodules.irregular.series import AbstractReader, SeriesData, SeriesSet
from neuralsde.datamodules.lorenz import at_least
from neuralsde.errors import DataError

SHA256 = "609d962361a431236d018ecc61af6fa718e764545f69f9c459130a908c62f00c"
WHERE = "mujoco.npy of github.com/yongkyung-oh/Stable-Neural-SDEs (benchmark_forecasting/datasets, MIT)"
CHANNELS = tuple(
    f"{kind}_{joint}"
    for kind in ("position", "velocity")
    for joint in ("rootx", "rootz", "rooty", "waist", "hip", "knee", "ankle")
)
SHARES = (0.7, 0.15)


class MujocoForecast(AbstractReader):
    """Windows of `window` steps, of which some are dropped, and the `ahead` steps that follow them.

    The windows of a trajectory begin at 0, 1, …, steps − window − ahead − 1 (the last possible start is unused, as in the
    published code). The first 70 % of all windows are for training, the next 15 % for validation: with the published file
    2800/600/600, whole trajectories each. Nothing is normalised.

    Args:
        path: the published file, or another `.npy` array (trajectory, step, channel) of finite numbers.
        missing_rate: share of each window's steps that are dropped, all channels at once: int(window · rate).
        window: steps that a model may see.
        ahead: steps to forecast.
        mask_seed: of the generator that drops; 56789 is the published one.
        keep_empty_rows: keep the steps that were dropped as rows of NaN, as the paper's grid has them.

    Raises:
        ConfigError: a setting is impossible.
    """

    def __init__(
        self,
        path: str | Path,
        missing_rate: float = 0.0,
        window: int = 50,
        ahead: int = 10,
        mask_seed: int = TORCH_SEED,
        keep_empty_rows: bool = False,
    ):
        self.path, self.missing_rate = path, checked_share("missing_rate", missing_rate)
        at_least("window", window, 1)
        at_least("ahead", ahead, 1)
        self.window, self.ahead, self.keep_empty_rows = window, ahead, keep_empty_rows
        self.mask_seed = checked_seed("mask_seed", mask_seed)

    def files(self) -> list[Path]:
        return [existing(self.path, WHERE)]

    def read(self) -> SeriesData:
        """Read the file and cut its windows.

        Raises:
            DataError: there is none, it is of another layout, or too short for a window.
        """
        (path,) = self.files()
        paths = read_trajectories(path)
        windows = cut(paths, self.window, self.ahead, path)
        kept = torch_generator_56789(windows.length, paths.shape[2], self.missing_rate, self.mask_seed)
        windows.values[~kept] = np.nan
        ends = np.cumsum([round(share * len(windows)) for share in SHARES])
        splits = windows[: ends[0]], windows[ends[0] : ends[1]], windows[ends[1] :]
        train, val, test = splits if self.keep_empty_rows else map(without_empty_rows, splits)
        names = CHANNELS if paths.shape[2] == len(CHANNELS) else tuple(f"channel {k}" for k in range(paths.shape[2]))
        origin = "the published file" if sha256_of(path) == SHA256 else "another file than the published one"
        return SeriesData(
            "mujoco", train, val, test, names, time_unit="step",
            source=f"{path.name}, {origin}, {self.missing_rate:g} of the steps dropped with seed {self.mask_seed}",
        )  # fmt: skip


def read_trajectories(path: Path) -> np.ndarray:
    """Trajectories (trajectory, step, channel), float32.

    Raises:
        DataError: the file is no such array of finite numbers.
    """
    try:
        paths = np.load(path, allow_pickle=False)
    except UNREADABLE as error:
        raise DataError(f"{path}: no array can be read from it ({error}); give {WHERE}.") from error
    if not isinstance(paths, np.ndarray) or paths.ndim != 3 or paths.dtype.kind not in "fiu" or not paths.size:
        found = f"{paths.dtype} of shape {paths.shape}" if isinstance(paths, np.ndarray) else "an archive"
        raise DataError(f"{path}: holds {found}; numbers (trajectory, step, channel) are needed.")
    bad = ~np.isfinite(paths)
    if bad.any():
        i, j, k = np.argwhere(bad)[0].tolist()
        raise DataError(f"{path}: trajectory {i} is {paths[i, j, k]:g} at step {j}, channel {k}; finite numbers are needed.")
    return paths.astype(np.float32)


def cut(paths: np.ndarray, window: int, ahead: int, path: Path) -> SeriesSet:
    """Complete windows, trajectory by trajectory.

    Raises:
        DataError: trajectories are too short, or too few for three splits.
    """
    starts = paths.shape[1] - window - ahead
    if starts < 1 or len(paths) * starts < 7:
        raise DataError(
            f"{path}: {len(paths)} trajectories of {paths.shape[1]} steps give {len(paths) * max(starts, 0)} windows of "
            f"data.reader.window {window} and data.reader.ahead {ahead}; at least 7 windows are needed, and trajectories "
            "longer than both together."
        )
    rows = np.arange(starts)[:, None] + np.arange(window + ahead)
    all_steps = paths[:, rows].reshape(-1, window + ahead, paths.shape[2])
    n = len(all_steps)
    return SeriesSet(
        times=np.tile(np.arange(window, dtype=np.float64), (n, 1)),
        values=all_steps[:, :window].copy(),
        length=np.full(n, window, np.int64),
        names=np.array([f"trajectory {i} from step {j}" for i in range(len(paths)) for j in range(starts)], dtype=np.str_),
        ahead_times=np.tile(np.arange(window, window + ahead, dtype=np.float64), (n, 1)),
        ahead=all_steps[:, window:].copy(),
    )
