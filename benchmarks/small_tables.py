"""What a user with a small table gets: 60 generated series of 12 to 39 rows, three channels of different units, a quarter of
the cells empty; scores of the nine validation series. One line of JSON per run.

    python -m benchmarks.small_tables --into FOLDER [--tables waves returning] [--rows plain forecast]
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

from neuralsde.cli import CONFIGS
from neuralsde.workflow import train

CENTRE, WIDTH = np.array([60000.0, 37.0, 0.02]), np.array([3000.0, 0.6, 0.005])
PLAIN = ["model=neural_lsde", "model/likelihood=heteroscedastic", "data=csv"]
AHEAD = ["data.reader.ahead_rows=5"]
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
    """A table of 60 series."""
    rng = np.random.default_rng(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["series", "time", "weight_g", "temperature_c", "dose"])
        for number in range(60):
            times = np.cumsum(rng.exponential(1.0, rng.integers(12, 40)) + 0.1)
            for time, row in zip(times, CENTRE + WIDTH * values_of(times, rng), strict=True):
                writer.writerow([f"p{number}", f"{time:.3f}", *("" if rng.random() < 0.25 else f"{v:.6g}" for v in row)])


def scored(table: str, row: str, folder: Path) -> dict[str, object]:
    """Train a row's model on a table as the command line would, and give what `scores.json` says, channel by channel."""
    write_table(folder / f"{table}.csv", TABLES[table])
    words = [
        *ROWS[row],
        f"data.reader.path={folder / table}.csv",
        "data.reader.time_unit=d",
        "logger=csv",
        "training.plots=false",
    ]
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        config = compose("train", overrides=[*words, f"run_dir={folder / table}_{row}"])
    with contextlib.redirect_stdout(sys.stderr):
        train(config)
    scores = json.loads((folder / f"{table}_{row}" / "scores.json").read_text())
    trivial = "linear" if "linear" in scores["baselines"] else "persistence"
    shares = {
        name: {key: round(rows["this model"][key] / rows[trivial][key], 3) for key in ("rmse", "crps")}
        for name, rows in scores["channels"].items()
    }
    own = {key: float(f"{scores[key]:.4g}") for key in ("nll", "coverage_90")}
    beside = {f"{trivial}_{key}": float(f"{scores['baselines'][trivial][key]:.4g}") for key in ("nll", "coverage_90")}
    return {"table": table, "row": row, **own, **beside, f"share of {trivial}": shares}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, required=True, help="folder of tables and runs")
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    arguments = parser.parse_args()
    arguments.into.mkdir(parents=True, exist_ok=True)
    for table in arguments.tables:
        for row in arguments.rows:
            print(json.dumps(scored(table, row, arguments.into)), flush=True)


if __name__ == "__main__":
    main()
