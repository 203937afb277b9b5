"""What a user with a small table gets: generated series of 12 to 39 rows, three channels of different units, a quarter of the
cells empty. 42 are trained on, nine choose the checkpoint and calibrate the intervals, and 100 fresh ones, which did neither,
are scored. One line of JSON per run, and one of means over the seeds.

    python -m benchmarks.small_tables --into FOLDER [--tables waves returning] [--rows plain forecast] [--seeds 0 1 2]
"""

import argparse
import contextlib
import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from scipy.stats import norm

import neuralsde
from neuralsde.cli import CONFIGS
from neuralsde.evaluation.load import Run
from neuralsde.workflow import evaluate, train

CENTRE, WIDTH = np.array([60000.0, 37.0, 0.02]), np.array([3000.0, 0.6, 0.005])
PLAIN = ["model=neural_lsde", "model/likelihood=heteroscedastic", "data=csv"]
AHEAD = ["data.reader.ahead_rows=5"]
PARTS = {"train": 42, "val": 9, "test": 100}
ROWS = {
    "plain": [*PLAIN, "data.reader.task=forecast", *AHEAD, "training.steps=300"],
    "forecast": ["experiment=stable_sde/forecast", *AHEAD],
    "plain_hidden": [*PLAIN, "training.steps=400"],
    "interpolation": ["experiment=stable_sde/interpolation"],
}


def waves(times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two parts of a wave of a phase of each series' own and their product, around a level of its own, (row, channel)."""
    phase, level = rng.uniform(0, 2 * np.pi), 8 / 3 * rng.normal()
    a, b = np.sin(0.5 * times + phase), np.cos(0.5 * times + phase)
    return np.stack([level + a, b, a * b], 1) + 0.1 * rng.normal(size=(len(times), 3))


def returning(times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Three Ornstein-Uhlenbeck processes of times 1, 3 and 10, mixed and observed with noise, (row, channel)."""
    states = rng.normal(size=(len(times), 3))
    for n in range(1, len(times)):
        kept = np.exp(-(times[n] - times[n - 1]) / np.array([1.0, 3.0, 10.0]))
        states[n] = kept * states[n - 1] + np.sqrt(1 - kept**2) * states[n]
    mixed = states @ np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.0], [0.3, 0.0, 1.0]])
    return mixed + 0.2 * rng.normal(size=mixed.shape)


TABLES: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {"waves": waves, "returning": returning}


def write_table(path: Path, values_of: Callable[[np.ndarray, np.random.Generator], np.ndarray], seed: int = 0) -> None:
    """A table of series, with what each is for."""
    rng, parts = np.random.default_rng(seed), np.repeat(list(PARTS), list(PARTS.values()))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["series", "time", "weight_g", "temperature_c", "dose", "part"])
        for number, part in enumerate(parts):
            times = np.cumsum(rng.exponential(1.0, rng.integers(12, 40)) + 0.1)
            for time, row in zip(times, CENTRE + WIDTH * values_of(times, rng), strict=True):
                cells = ["" if rng.random() < 0.25 else f"{v:.6g}" for v in row]
                writer.writerow([f"p{number}", f"{time:.3f}", *cells, part])


def scored(table: str, row: str, folder: Path, seed: int = 0) -> dict[str, object]:
    """Train a row's model on a table as the command line would, and give what `evaluate --phase test` says of fresh series."""
    path, run_dir = folder / f"{table}_{seed}.csv", folder / f"{table}_{row}_{seed}"
    write_table(path, TABLES[table], seed)
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
    scores = json.loads((run_dir / "scores_test.json").read_text())
    trivial = "linear" if "linear" in scores["baselines"] else "persistence"
    shares = {
        name: {key: round(rows["this model"][key] / rows[trivial][key], 3) for key in ("rmse", "crps")}
        for name, rows in scores["channels"].items()
    }
    told = {"before": scores["baselines"]["before calibration"], "after": scores, trivial: scores["baselines"][trivial]}
    found = {f"{name}_{key}": round(said[key], 3) for name, said in told.items() for key in ("nll", "coverage_90")}
    assert run.calibration is not None
    factor, width = (round(float(np.mean(value)), 3) for value in (run.calibration.factor, widths(run, trivial)))
    return {"table": table, "row": row, "seed": seed, **found, "factor": factor, "width": width, f"share of {trivial}": shares}


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
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="of tables and runs")
    arguments = parser.parse_args()
    arguments.into.mkdir(parents=True, exist_ok=True)
    for row in arguments.rows:
        found = {table: [] for table in arguments.tables}
        for seed in arguments.seeds:
            for table in arguments.tables:
                found[table].append(scored(table, row, arguments.into, seed))
                print(json.dumps(found[table][-1]), flush=True)
        for table, runs in found.items():
            numbers = [key for key, value in runs[0].items() if isinstance(value, float)]
            means = {key: round(float(np.mean([run[key] for run in runs])), 3) for key in numbers}
            print(json.dumps({"table": table, "row": row, "seeds": len(runs), **means}), flush=True)


if __name__ == "__main__":
    main()
