"""One table of a recording with held-out units: LangevinFlow, an ensemble, its path alone, other dynamics, a GRU, baselines.

    python -m benchmarks.recordings --path FOLDER [--rows langevinflow path gru …] [--seeds 0 1 2] [--trials 112 224 448]
        [--runs FOLDER] [-- OVERRIDE …]

for `data=reach8`. The row `ensemble` averages the rates of the row `langevinflow` over all seeds. `path` decodes positions and
velocities alone, as do the rows of other dynamics, with their own latent sizes. `gru` is the encoder of `langevinflow` and a
linear read-out without a latent path, under the same loss; the average of its last weights is scored, of the others the best
by validation co-bps. With `--trials` the row `gru` learns from so many training trials, the first in the file, one line for
each number: what more trials would bring. `baselines` are smoothing with Poisson regression and the mean response of the true
condition.

Prints one JSON object a line: `row`, `command` (where a command trains the same), `seed`, `trials` (learned from), `seconds`
(of this process, on one thread), and the scores of the evaluation trials. Runs are kept in `--runs`, and one that is there
already is not trained again.
"""

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir

from benchmarks.continuous_recordings import GRU, fit
from benchmarks.runs import started
from neuralsde import workflow
from neuralsde.cli import CONFIGS, quiet_chatter
from neuralsde.evaluation.baselines import baseline_table
from neuralsde.evaluation.ensemble import Ensemble
from neuralsde.evaluation.load import load
from neuralsde.evaluation.scores import score

OURS, PATH = "experiment=langevinflow/reach8", "experiment=langevinflow/reach8_path"
MODELS = {
    "langevinflow": [OURS],
    "default_training": [OURS, "training=default"],
    "path": [PATH],
    "langevin_type": [PATH, "model/dynamics=langevin_type", "model.dynamics.latent_size=48"],
    "ornstein_uhlenbeck": [PATH, "model/dynamics=ornstein_uhlenbeck", "model.dynamics.latent_size=48"],
    "ode": [PATH, "model/dynamics=ode", "model.dynamics.latent_size=48"],
}
ROWS = [*MODELS, "ensemble", "gru", "baselines"]


def trained(row: str, words: list[str], folder: Path) -> dict[str, Any]:
    """Train a row's model in `folder` as the command line would, if it is not there, and give its scores."""
    begin = time.process_time()
    if not (folder / "scores.json").exists():
        quiet = [f"run_dir={folder}", "logger=csv", "training.plots=false", "training.baselines=false"]
        with initialize_config_dir(CONFIGS, version_base="1.3"):
            config = compose("train", overrides=[*words, *quiet])
        with contextlib.redirect_stdout(sys.stderr):
            workflow.train(config)
    scores = json.loads((folder / "scores.json").read_text())
    command = " ".join(["python train.py", *MODELS[row], "data.path=FOLDER", *words[len(MODELS[row]) + 1 :]])
    numbers = {key: value for key, value in scores.items() if isinstance(value, float)}
    return {"command": command, "seconds": time.process_time() - begin, **numbers}


def averaged(folders: list[Path]) -> dict[str, float]:
    """Scores of the mean rates of the runs in `folders`."""
    ensemble = Ensemble.of([load(folder) for folder in folders])
    return score(ensemble.data, ensemble.predict("train").rates, ensemble.predict("eval").rates)


def without_path(words: list[str], seed: int, trials: int | None) -> dict[str, float]:
    """Scores of the encoder with a linear read-out, learned from the first `trials` of the training trials, or from all."""
    config, module, data = started(words, seed)
    if trials is not None:
        data._data = replace(data.data, train=data.data.train[:trials])
        data.setup()
    net = GRU(module)
    learned_from = len(data.data.train)
    seconds = fit(net, lambda batch: net.loss(module, batch), data, config.training.steps, config)
    train, scored = net.rates(module, data)
    return {"trials": learned_from, "seconds": seconds, **score(data.data, train, scored)}


def lines(row: str, options: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """The lines of a row, scores and what they are of."""
    path = f"data.path={options.path}"
    if row == "baselines":
        data = started([OURS, path, *options.overrides], 0).data.data
        yield from ({"row": name, **scores} for name, scores in baseline_table(data).items())
    elif row == "ensemble":
        names = [f"langevinflow-{seed}" for seed in options.seeds]
        for seed, name in zip(options.seeds, names, strict=True):
            trained("langevinflow", [OURS, path, f"seed={seed}", *options.overrides], folder / name)
        yield {"row": row, "seeds": options.seeds, **averaged([folder / name for name in names])}
    elif row == "gru":
        for seed in options.seeds:
            for trials in options.trials or [None]:
                words = [OURS, path, "data.eval_batch_size=100000", *options.overrides]
                yield {"row": row, "seed": seed, **without_path(words, seed, trials)}
    else:
        for seed in options.seeds:
            words = [*MODELS[row], path, f"seed={seed}", *options.overrides]
            yield {"row": row, "seed": seed, **trained(row, words, folder / f"{row}-{seed}")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", required=True, help="folder of the recording")
    parser.add_argument("--rows", nargs="+", default=ROWS, choices=ROWS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--trials", type=int, nargs="+", help="training trials of the row gru; all if not given")
    parser.add_argument("--runs", type=Path, help="folder of the runs; a temporary one if not given")
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    if not Path(options.path).exists():
        parser.error(f"there is no folder {options.path}")
    quiet_chatter()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        for row in options.rows:
            for line in lines(row, options, options.runs or Path(temporary)):
                rounded = {key: round(value, 4) if isinstance(value, float) else value for key, value in line.items()}
                print(json.dumps(rounded), flush=True)


if __name__ == "__main__":
    main()
