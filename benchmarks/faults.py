"""Kill training processes at random moments, start them again, and compare what they end with to undisturbed runs.

    python -m benchmarks.faults [--kills 50] [--seed 0] [--cases lorenz nwb wandb]

Each run is one fixed command with `ckpt=auto`. It is killed (SIGKILL) once, or two or three times in a row, while it loads
libraries, reads or caches its data, trains, writes checkpoints and metrics, or scores; then it is left to end. A kill counts
as resumed where the next start went on after as many epochs as the last checkpoint on the disk had done, and as equal where
the run's `metrics.csv`, weights and scores are those of the undisturbed run. Prints one line per run, then the counts.
"""

import argparse
import csv
import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from neuralsde.files import LEFTOVER
from neuralsde.training.checkpoint import epochs_done

ROOT = Path(__file__).parents[1]
EPOCHS = 24
TOLERANCE = 1e-6
LORENZ = ["data=lorenz", "data.n_conditions=6", "data.trials_per_condition=5", "data.heldout_conditions=1"]
LORENZ += ["data.n_neurons=12", "data.n_heldout=3", "data.observed_bins=10", "data.forward_bins=3", "data.batch_size=4"]
COMMON = [f"trainer.max_epochs={EPOCHS}", "trainer.accelerator=cpu", "trainer.check_val_every_n_epoch=2", "predict.n_samples=2"]
IN_A_ROW = (1, 2, 3)
"""How often one run is killed after another."""
PHASES = ("loading", "training", "training", "training", "scoring")


@dataclass(frozen=True)
class Case:
    """A command and what it ends with when nothing happens to it.

    Args:
        words: of the command line.
        begins_s: seconds until training begins.
        trained_s: seconds until it has ended.
        ended_s: seconds until the process ends.
        results: the numbers that it leaves, by name.
    """

    words: list[str]
    begins_s: float
    trained_s: float
    ended_s: float
    results: dict[str, np.ndarray]


def words_of(name: str, folder: Path) -> list[str]:
    """The command line of a case, whose data are generated or written into `folder`."""
    if name == "nwb":
        from tests.helpers.nwb_files import write_pair

        path = write_pair(folder / "recording", "mc_maze", n_train=16, n_val=8)
        return ["data=nlb_mc_maze", f"data.path={path}", "data.batch_size=4", "logger=csv", "training.plots=false"]
    logger = "wandb" if name == "wandb" else "csv"
    return [*LORENZ, f"logger={logger}", f"training.plots={'false' if name == 'wandb' else 'true'}"]


def start(words: list[str], run_dir: Path, log: Path) -> subprocess.Popen:
    """A training process of its own; its cache lies beside the run, so that each run makes it anew."""
    cache = [f"data.cache={run_dir}-cache"] if words[0] == "data=nlb_mc_maze" else []
    command = [sys.executable, "train.py", *words, *COMMON, *cache, f"run_dir={run_dir}", "ckpt=auto"]
    environment = {**os.environ, "WANDB_MODE": "offline", "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(run_dir.parent)}
    with log.open("w") as file:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT)


def await_file(process: subprocess.Popen, path: Path, newer_than: float) -> bool:
    """Wait until the process has written a file; whether it has."""
    while process.poll() is None:
        if path.exists() and path.stat().st_mtime >= newer_than:
            return True
        time.sleep(0.002)
    return False


def undisturbed(name: str, folder: Path) -> Case:
    """Run a case to its end."""
    words, run_dir = words_of(name, folder), folder / "whole"
    begin, wall = time.monotonic(), time.time()
    process = start(words, run_dir, folder / "whole.log")
    await_file(process, run_dir / "config.yaml", wall)
    begins = time.monotonic() - begin
    if process.wait() != 0:
        raise SystemExit((folder / "whole.log").read_text())
    ended = time.monotonic() - begin
    trained = (run_dir / "checkpoints" / "last.ckpt").stat().st_mtime - wall
    return Case(words, begins, trained, ended, results(run_dir))


def results(run_dir: Path) -> dict[str, np.ndarray]:
    """The numbers that a run leaves: its curve, its weights, its scores."""
    with (run_dir / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    numbers = {f"{name} {row['epoch']}": np.array(float(value or "nan")) for row in rows for name, value in row.items()}
    for name in ("best", "last"):
        weights = torch.load(run_dir / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]
        numbers |= {f"{name} {key}": value.numpy() for key, value in weights.items()}
    scores = json.loads((run_dir / "scores.json").read_text())
    return numbers | {f"score {key}": np.array(value) for key, value in scores.items() if isinstance(value, float)}


def difference(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> float:
    """The largest difference of any number; infinite where something is missing."""
    if found.keys() != wanted.keys():
        return math.inf
    both = [(np.nan_to_num(found[key]), np.nan_to_num(wanted[key])) for key in wanted]
    return max(float(np.abs(a.astype(float) - b.astype(float)).max(initial=0.0)) for a, b in both)


def kill(case: Case, phase: str, share: float, run_dir: Path, log: Path) -> str:
    """Start the command and kill it; what it printed.

    Args:
        case: the command.
        phase: of the run.
        share: of the phase that passes before; where that is an epoch's end, a part of the next epoch passes too.
        run_dir: the run's folder.
        log: where the output goes.
    """
    wall, epoch_s = time.time(), (case.trained_s - case.begins_s) / EPOCHS
    done = last_epochs(run_dir)
    process = start(case.words, run_dir, log)
    if phase == "loading":
        time.sleep(share * case.begins_s)
    elif await_file(process, run_dir / "config.yaml", wall):
        whole, part = divmod(share * (EPOCHS - done), 1) if phase == "training" else (EPOCHS - done, 0)
        await_epochs(process, run_dir / "metrics.csv", done + int(whole))
        time.sleep(part * epoch_s if phase == "training" else share * (case.ended_s - case.trained_s))
    process.send_signal(signal.SIGKILL)
    process.wait()
    return log.read_text()


def await_epochs(process: subprocess.Popen, path: Path, n: int) -> None:
    """Wait until a curve has `n` rows."""
    while process.poll() is None and n and (not path.exists() or path.read_bytes().count(b"\n") <= n):
        time.sleep(0.002)


def last_epochs(run_dir: Path) -> int:
    """Epochs that the last checkpoint has done; 0 where there is none."""
    path = run_dir / "checkpoints" / "last.ckpt"
    return epochs_done(torch.load(path, weights_only=True)) if path.exists() else 0


def standing(run_dir: Path) -> str:
    """Where a run was when it was killed, by what it left."""
    if any(LEFTOVER.fullmatch(path.name) for path in run_dir.parent.rglob(".*") if run_dir.name in str(path)):
        return "writing a file"
    if not (run_dir / "config.yaml").exists():
        return "loading"
    done = last_epochs(run_dir)
    return "first epoch" if done == 0 else "scoring" if done == EPOCHS else "training"


def resumed_after(output: str) -> int | None:
    """Epochs after which a start went on, 0 where it began; None where it did not get that far."""
    if "run: " not in output:
        return None
    found = re.search(r"It goes on from .*, after (\d+) epochs", output)
    return int(found[1]) if found else 0


def trial(case: Case, times: int, rng: np.random.Generator, folder: Path, run_dir: Path) -> dict[str, Any]:
    """Kill a run `times` times in a row, let it end, and compare."""
    at, expected, resumed = [], [], []
    for _ in range(times):
        phase, share = rng.choice(PHASES), rng.random()
        output = kill(case, phase, share, run_dir, folder / "log")
        resumed.append(resumed_after(output))
        at.append(standing(run_dir))
        expected.append(last_epochs(run_dir))
    status = start(case.words, run_dir, folder / "log").wait()
    resumed.append(resumed_after((folder / "log").read_text()))
    pairs = zip(expected, resumed[1:], strict=True)
    unequal = difference(results(run_dir), case.results) if status == 0 else math.inf
    if status:
        print((folder / "log").read_text())
    return {
        "killed": at,
        "epochs": expected,
        "resumed": [after is None or after == before for before, after in pairs],
        "difference": unequal,
        "leftovers": sum(bool(LEFTOVER.fullmatch(path.name)) for path in run_dir.rglob(".*")),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", nargs="+", default=["lorenz", "nwb", "wandb"], choices=["lorenz", "nwb", "wandb"])
    options = parser.parse_args()
    rng, began, rows = np.random.default_rng(options.seed), time.monotonic(), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for case in options.cases:
            (folder / case).mkdir()
        cases = {case: undisturbed(case, folder / case) for case in options.cases}
        left = options.kills
        while left:
            case = options.cases[len(rows) % len(cases)]
            times = min(left, IN_A_ROW[len(rows) % len(IN_A_ROW)])
            row = trial(cases[case], times, rng, folder / case, folder / case / f"run{len(rows)}")
            rows.append(row)
            left -= times
            print(json.dumps({"case": case, **row}), flush=True)
    told = [(ok, row["difference"]) for row in rows for ok in row["resumed"]]
    resumed, equal = sum(ok for ok, _ in told), sum(gap <= TOLERANCE for _, gap in told)
    exact = sum(gap == 0 for _, gap in told)
    places = ", ".join(f"{count} {place}" for place, count in Counter(p for r in rows for p in r["killed"]).most_common())
    print(
        f"{resumed} of {options.kills} kills resumed, {equal} of {options.kills} equal to {TOLERANCE:g} ({exact} bit for bit)"
    )
    print(f"killed while: {places}; {len(rows)} runs, {time.monotonic() - began:.0f} s")
    if min(resumed, equal) < options.kills or any(row["leftovers"] for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
