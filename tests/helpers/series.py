"""Small irregular series of unequal length, for each task."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from neuralsde.datamodules.irregular.assemble import padded
from neuralsde.datamodules.irregular.series import AbstractReader, SeriesData, SeriesSet


class Series(AbstractReader):
    """Noisy sines of unequal length at random times; a third of the values are hidden, the last rows are to be forecast.

    Args:
        task: as of `SeriesDataModule`.
        redraws: whether other values are hidden in each epoch.
        static: whether there are static columns.
    """

    def __init__(self, task: str, redraws: bool = False, static: bool = False):
        self.task, self.redraws, self.static = task, redraws, static

    def files(self) -> list[Path]:
        return []

    def draw(self, seed: int, n: int) -> SeriesSet:
        rng = np.random.default_rng(seed)
        length = rng.integers(6, 10, n)
        times = [rng.uniform(0.2, 1.0, k + 2).cumsum() + 3.0 for k in length]
        phase = rng.integers(0, 2, n)
        values = [np.stack([5 + np.sin(t + p), 100 * np.cos(t + p)], 1) for t, p in zip(times, phase, strict=True)]
        names = [f"s{seed}.{k}" for k in range(n)]
        further = {"static": rng.normal(size=(n, 2)).astype(np.float32)} if self.static else {}
        if self.task == "forecast":
            made = padded([t[:-2] for t in times], [v[:-2] for v in values], names, **further)
            ahead = {"ahead_times": np.stack([t[-2:] for t in times]), "ahead": np.stack([v[-2:] for v in values])}
            return self.hidden(replace(made, **ahead | {"ahead": ahead["ahead"].astype(np.float32)}), seed)
        made = padded(times, values, names, **further)
        if self.task == "classification":
            return self.hidden(replace(made, labels=phase.astype(np.int64)), seed)
        return self.hidden(replace(made, targets=made.values), seed)

    def hidden(self, made: SeriesSet, seed: int) -> SeriesSet:
        drop = np.random.default_rng(seed).random(made.values.shape) < 1 / 3
        return replace(made, values=np.where(drop, np.float32(np.nan), made.values))

    def redraw(self, series: SeriesSet, epoch: int) -> SeriesSet | None:
        if not self.redraws or series.targets is None:
            return None
        return self.hidden(replace(series, values=series.targets), 100 + epoch)

    def read(self) -> SeriesData:
        classes = ("early", "late") if self.task == "classification" else ()
        statics = ("weight", "age") if self.static else ()
        return SeriesData(
            "made", *(self.draw(s, n) for s, n in ((0, 40), (1, 12), (2, 12))), ("sine", "cosine"), classes, statics
        )
