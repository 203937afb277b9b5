"""What a user with a small table gets: generated series of 12 to 39 rows, three channels of different units, a quarter of the
cells empty. 42 are trained on, nine choose the checkpoint and calibrate the intervals, and 100 fresh ones, which did neither,
are scored, beside the best that can be said of them (`small_optimum`) or, of classes, peers (`small_classes`). One line of JSON
per run, and one of means over the seeds.

    python -m benchmarks.small_tables --into FOLDER [--tables waves returning] [--rows plain forecast] [--seeds 0 1 2]
    python -m benchmarks.small_tables --into FOLDER --tables frequency trend shape --rows classification peers
"""

import argparse
import contextlib
import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from hydra import compose, initialize_config_dir
from scipy.stats import norm

import neuralsde
from benchmarks.small_classes import peers
from benchmarks.small_optimum import best_possible
from benchmarks.small_series import CENTRE, CLASSES, TABLES, WIDTH
from neuralsde.cli import CONFIGS
from neuralsde.datamodules.irregular import SeriesDataModule
from neuralsde.evaluation.load import Run
from neuralsde.nn.encoders import SummaryEncoder
from neuralsde.workflow import evaluate, train

PLAIN = ["model=neural_lsde", "model/likelihood=heteroscedastic", "data=csv"]
AHEAD = ["data.reader.ahead_rows=5"]
OF_CLASSES = ["classification", "peers"]
"""Rows of series of classes; peers take the data of the runs, and come after all, as what they import slows training down."""
PARTS = {"train": 42, "val": 9, "test": 100}
ROWS = {
    "plain": [*PLAIN, "data.reader.task=forecast", *AHEAD, "training.steps=300"],
    "forecast": ["experiment=stable_sde/forecast", *AHEAD],
    "plain_hidden": [*PLAIN, "training.steps=400"],
    "interpolation": ["experiment=stable_sde/interpolation"],
    "classification": ["experiment=stable_sde/classification", "data.reader.label_column=kind"],
}


def write_table(path: Path, table: str, seed: int = 0) -> None:
    """A table of series, with what each is for and, of classes, which it is of, in turn."""
    rng, parts = np.random.default_rng(seed), np.repeat(list(PARTS), list(PARTS.values()))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["series", "time", "weight_g", "temperature_c", "dose", "part", *["kind"] * (table in CLASSES)])
        for number, part in enumerate(parts):
            times = np.cumsum(rng.exponential(1.0, rng.integers(12, 40)) + 0.1)
            if table in CLASSES:
                values_of, kinds = CLASSES[table]
                values, last = values_of(times, number % kinds, rng), [part, f"kind {number % kinds}"]
            else:
                values, last = TABLES[table](times, rng), [part]
            for time, row in zip(times, CENTRE + WIDTH * values, strict=True):
                cells = ["" if rng.random() < 0.25 else f"{v:.6g}" for v in row]
                writer.writerow([f"p{number}", f"{time:.3f}", *cells, *last])


def trained(table: str, row: str, folder: Path, seed: int) -> tuple[Run, dict[str, Any]]:
    """Train a row's model on a table as the command line would, and give what `evaluate --phase test` says of fresh series."""
    path, run_dir = folder / f"{table}_{seed}.csv", folder / f"{table}_{row}_{seed}"
    write_table(path, table, seed)
    words = [
        *ROWS[row],
        f"data.reader.path={path}",
        "data.reader.split_column=part",
        "data.reader.time_unit=d",
        f"seed={seed}",
        "logger=csv",
        "training.plots=false",
    ]
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        config = compose("train", overrides=[*words, f"run_dir={run_dir}"])
    with contextlib.redirect_stdout(sys.stderr):
        train(config)
        run = neuralsde.load(run_dir, data={"phase": "test"})
        evaluate(run, run.datamodule, run_dir, [], run.config, "test")
    return run, json.loads((run_dir / "scores_test.json").read_text())


def scored(table: str, row: str, folder: Path, seed: int = 0) -> dict[str, object]:
    """A line of a run."""
    line = {"table": table, "row": row, "seed": seed}
    if row == "peers":
        run = neuralsde.load(folder / f"{table}_classification_{seed}")
        data, encoder = run.unread, run.module.model.encoder
        assert isinstance(data, SeriesDataModule)
        assert isinstance(encoder, SummaryEncoder)
        return {**line, **peers(data.reader.read(), encoder, seed)}
    run, scores = trained(table, row, folder, seed)
    if table in CLASSES:
        return {**line, **{name: round(scores[name], 3) for name in ("accuracy", "log_loss", "calibration_error")}}
    trivial = "linear" if "linear" in scores["baselines"] else "persistence"
    whole = run.with_data(last_rows=None).unread
    assert isinstance(whole, SeriesDataModule)
    best, channels = best_possible(table, whole), scores["channels"].values()
    told = {"before": scores["baselines"]["before calibration"], "after": scores, trivial: scores["baselines"][trivial]}
    found = {f"{name}_{key}": round(said[key], 3) for name, said in told.items() for key in ("nll", "coverage_90")}
    for key in ("rmse", "crps"):
        theirs = np.array([rows[trivial][key] for rows in channels])
        ours = np.array([rows["this model"][key] for rows in channels])
        found |= {f"{key}_{name}": np.round(own / theirs, 3).tolist() for name, own in (("share", ours), ("best", best[key]))}
    assert run.calibration is not None
    factor, width = (round(float(np.mean(value)), 3) for value in (run.calibration.factor, widths(run, trivial)))
    return {**line, **found, "factor": factor, "width": width}


def widths(run: Run, trivial: str) -> np.ndarray:
    """Mean width of the intervals in each channel, as a share of that of the trivial predictor's, (channel,)."""
    said, data = run.predict("eval", interval=0.9, n_samples=200), run.data
    assert said.upper is not None
    assert said.lower is not None
    assert data.eval.targets is not None
    known = np.isfinite(data.eval.targets)
    theirs = np.broadcast_to(2 * norm.ppf(0.95) * data.trivial[trivial].std, known.shape)
    ours, theirs = (np.where(known, width, 0.0).sum((0, 1)) for width in (said.upper - said.lower, theirs))
    return ours / theirs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, required=True, help="folder of tables and runs")
    parser.add_argument("--tables", nargs="+", choices=[*TABLES, *CLASSES], default=list(TABLES))
    parser.add_argument("--rows", nargs="+", choices=[*ROWS, "peers"], default=list(ROWS)[:-1])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of tables and runs")
    arguments = parser.parse_args()
    if any((table in CLASSES) != (row in OF_CLASSES) for table in arguments.tables for row in arguments.rows):
        parser.error(
            f"the rows {' and '.join(OF_CLASSES)} are of the tables {', '.join(CLASSES)}, and the other rows of the others"
        )
    arguments.into.mkdir(parents=True, exist_ok=True)
    for row in arguments.rows:
        found = {table: [] for table in arguments.tables}
        for seed in arguments.seeds:
            for table in arguments.tables:
                found[table].append(scored(table, row, arguments.into, seed))
                print(json.dumps(found[table][-1]), flush=True)
        for table, runs in found.items():
            numbers = [key for key, value in runs[0].items() if isinstance(value, float | list)]
            means = {key: np.round(np.mean([run[key] for run in runs], 0), 3).tolist() for key in numbers}
            print(json.dumps({"table": table, "row": row, "seeds": len(runs), **means}), flush=True)


if __name__ == "__main__":
    main()
