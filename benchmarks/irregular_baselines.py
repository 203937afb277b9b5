"""Trivial baselines of the irregular series' tables: `python -m benchmarks.irregular_baselines --path FOLDER`.

FOLDER holds `mujoco/mujoco.npy`, `physionet2012/set-a.tar.gz` (and set-b.tar.gz) and `ucr/NAME/…`, as far as they are asked
for; sets of the archives that it lacks come from aeon, where it has them. Prints one JSON object per table row:

    mujoco          mean square error, NLL and CRPS of the 10 steps ahead at 0, 30, 50 and 70 % dropped
    physionet2012   the same of held-out values, and of all observed ones (the mTAN metric), at 50 to 90 % observed
    ucr             accuracy of the usual class and of MiniRocket + ridge, mean and deviation over the seeds' splits

With `--phase val` the validation series are scored, to which penalties and deviations have been fitted as well.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from neuralsde.datamodules.irregular.baselines import (
    Baseline,
    channel_mean,
    last3_ridge,
    linear_interpolation,
    majority,
    minirocket_ridge,
    persistence,
    window_ridge,
)
from neuralsde.datamodules.irregular.mujoco import MujocoForecast
from neuralsde.datamodules.irregular.physionet2012 import Physionet2012
from neuralsde.datamodules.irregular.series import SeriesData
from neuralsde.datamodules.irregular.ucr import UCRArchive

RATES = (0.0, 0.3, 0.5, 0.7)
OBSERVED = (0.5, 0.6, 0.7, 0.8, 0.9)


def row(table: str, found: Baseline, **facts: object) -> dict[str, object]:
    return {"table": table, **facts, "baseline": found.name} | {k: float(f"{v:.4g}") for k, v in found.scores.items()}


def scoring(phase: str, data: SeriesData) -> SeriesData:
    """The data with the series of `phase` in the place of those that are scored."""
    return replace(data, test=data.val) if phase == "val" else data


def mujoco_rows(arguments: argparse.Namespace) -> Iterator[dict[str, object]]:
    for rate in arguments.rates or RATES:
        data = scoring(arguments.phase, MujocoForecast(arguments.path / "mujoco" / "mujoco.npy", rate).read())
        for baseline in (persistence, last3_ridge, window_ridge):
            yield row("mujoco", baseline(data), missing_rate=rate, test_windows=len(data.test))


def physionet_rows(arguments: argparse.Namespace) -> Iterator[dict[str, object]]:
    for observed in arguments.observed or OBSERVED:
        for seed in arguments.seeds:
            settings = {"observed": observed, "scale": arguments.scale, "stats": arguments.stats, "mask_seed": seed}
            data = scoring(arguments.phase, Physionet2012(arguments.path / "physionet2012", **settings).read())
            for metric in ("heldout", "mtan"):
                for baseline in (channel_mean, linear_interpolation):
                    yield row("physionet2012", baseline(data, metric), metric=metric, **settings, test_records=len(data.test))


def ucr_rows(arguments: argparse.Namespace) -> Iterator[dict[str, object]]:
    for name in arguments.sets:
        folder = arguments.path / "ucr"
        place = folder if (folder / name).is_dir() else None
        for rate in arguments.rates or RATES:
            settings = {"operator": arguments.operator, "lengths": "interpolated"}
            archives = [UCRArchive(name, place, rate, seed=seed, **settings) for seed in arguments.seeds]
            splits = [scoring(arguments.phase, archive.read()) for archive in archives]
            facts = {"set": name, "missing_rate": rate, "operator": arguments.operator, "test_series": len(splits[0].test)}
            yield accuracy_row("majority", [majority(data) for data in splits], facts)
            runs = [minirocket_ridge(data, seed) for seed, data in zip(arguments.seeds, splits, strict=True)]
            yield accuracy_row("minirocket_ridge", runs, facts)


def accuracy_row(name: str, runs: list[Baseline], facts: dict[str, object]) -> dict[str, object]:
    """Mean and deviation of the accuracy over runs."""
    values = np.array([run.scores["accuracy"] for run in runs])
    scores = {"accuracy": round(float(values.mean()), 3), "std": round(float(values.std()), 3), "seeds": len(runs)}
    return {"table": "ucr", **facts, "baseline": name} | scores


TABLES = {"mujoco": mujoco_rows, "physionet2012": physionet_rows, "ucr": ucr_rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", type=Path, required=True)
    parser.add_argument("--tables", nargs="+", choices=list(TABLES), default=list(TABLES))
    parser.add_argument("--rates", type=float, nargs="+", help="dropped; by default 0 .3 .5 .7")
    parser.add_argument("--observed", type=float, nargs="+", help="of PhysioNet's time points; by default .5 to .9")
    parser.add_argument(
        "--stats", choices=["all", "train"], default="all", help="what PhysioNet's scale looks at (published: all)"
    )
    parser.add_argument(
        "--scale", choices=["min_max", "range", "z"], default="min_max", help="PhysioNet's (published: min_max)"
    )
    parser.add_argument("--sets", nargs="+", default=["GunPoint", "BasicMotions"], help="of the archives")
    parser.add_argument("--operator", choices=["shared", "per_channel"], default="shared")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of splits and masks")
    parser.add_argument("--phase", choices=["test", "val"], default="test", help="series that are scored")
    arguments = parser.parse_args()
    for table in arguments.tables:
        for line in TABLES[table](arguments):
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
