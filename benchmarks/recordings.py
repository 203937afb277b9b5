"""One table of a recording with held-out units: LangevinFlow, an ensemble, its path alone, other dynamics, a GRU, baselines.

    python -m benchmarks.recordings --path FOLDER [--recording reach8|plan8] [--rows langevinflow path gru …] [--seeds 0 1 2]
        [--trials 112 224 448] [--latents 4 8 16] [--runs FOLDER] [-- OVERRIDE …]

`langevinflow` is `experiment=langevinflow/RECORDING`, `ensemble` averages its rates over all seeds, and `default_training`
is the same with `training=default` and no unit hidden whole. In `path` the decoder sees positions and velocities alone, and
in `ar1` independent first-order autoregressive states in their place, as many of them, steered likewise by a pull that is
affine in the state; other dynamics have their own controls and half as many states, which is the number of Langevin modes.
In `prior_only` and `ar1_prior_only` no control acts beyond the last observed bin: the prior alone goes on there, and learns
to. With `--latents` rows that decode the path have so many states, one line for each number. `cut_fp_bps`, beside every row
that decodes a steered path, is its fp-bps where control and encoder are cut at the last observed bin for the prediction
alone.

`gru` is the encoder of `langevinflow` and a linear read-out without a latent path, under the same loss; the average of its last
weights is scored, of the others the best by validation co-bps. With `--trials` it learns from so many training trials, the
first in the file, one line for each number: what more trials would bring. `baselines` are smoothing with Poisson regression and
the mean response of the true condition. `units` asks of each held-out unit whether `langevinflow` of the first seed owes its
score to one held-in unit alone (`benchmarks.single_units`).

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
from itertools import product
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir

from benchmarks.continuous_recordings import GRU, fit
from benchmarks.runs import started
from benchmarks.single_units import single_units
from neuralsde import workflow
from neuralsde.cli import CONFIGS, quiet_chatter
from neuralsde.evaluation.baselines import baseline_table
from neuralsde.evaluation.ensemble import Ensemble
from neuralsde.evaluation.load import load
from neuralsde.evaluation.scores import score

RECORDINGS = ["reach8", "plan8"]
SAMPLES = 8  # of the row units, which predicts once for each held-in unit
HALF = "model.dynamics.latent_size=48"
FREE = ["model.dynamics.steer_forward=false", "model.dynamics.learn_forward=true"]
AR1 = ["model/dynamics=ornstein_uhlenbeck", "model.dynamics.latent_size=96", "model.dynamics.control.hidden_size=0"]
OURS: dict[str, list[str]] = {
    "langevinflow": [],
    "default_training": ["training=default", "training.coordinated_dropout.channel_dropout=0"],
}
PATHS: dict[str, list[str]] = {
    "path": [],
    "ar1": AR1,
    "prior_only": FREE,
    "ar1_prior_only": [*AR1, *FREE],
    **{name: [f"model/dynamics={name}", HALF] for name in ("langevin_type", "linear_noise", "geometric", "ornstein_uhlenbeck")},
    "fractional": ["model/dynamics=langevin_type", "model/noise=fractional", HALF],
    "ode": ["model/dynamics=ode", HALF],
}
ROWS = [*OURS, *PATHS, "ensemble", "gru", "baselines", "units"]


def words_of(row: str, recording: str) -> list[str]:
    """What a row's command says beside path, seed and overrides."""
    return [f"experiment=langevinflow/{recording}{'_path' if row in PATHS else ''}", *(OURS | PATHS)[row]]


def trained(row: str, options: argparse.Namespace, seed: int, folder: Path, extra: list[str]) -> dict[str, Any]:
    """Train a row's model in `folder` as the command line would, if it is not there, and give its scores."""
    begin, words = time.process_time(), words_of(row, options.recording)
    after = [*extra, f"seed={seed}", *options.overrides]
    if not (folder / "scores.json").exists():
        quiet = [f"run_dir={folder}", "logger=csv", "training.plots=false", "training.baselines=false"]
        with initialize_config_dir(CONFIGS, version_base="1.3"):
            config = compose("train", overrides=[*words, f"data.path={options.path}", *after, *quiet])
        with contextlib.redirect_stdout(sys.stderr):
            workflow.train(config)
    scores = json.loads((folder / "scores.json").read_text())
    numbers = {key: value for key, value in scores.items() if isinstance(value, float)}
    command = " ".join(["python train.py", *words, "data.path=FOLDER", *after])
    return {"command": command, "seconds": time.process_time() - begin, **numbers, **cut_forecast(row, folder)}


def cut_forecast(row: str, folder: Path) -> dict[str, float]:
    """fp-bps of the prior's own continuation, where the decoder reads the path alone and the model is steered ahead."""
    if row not in PATHS:
        return {}
    run = load(folder)
    dynamics = run.module.model.dynamics
    if not getattr(dynamics, "steer_forward", False):
        return {}
    dynamics.steer_forward = False  # pyright: ignore[reportAttributeAccessIssue]
    return {"cut_fp_bps": score(run.data, None, run.predict("eval").rates)["fp_bps"]}


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
    start = [*words_of("langevinflow", options.recording), f"data.path={options.path}", *options.overrides]
    if row == "baselines":
        yield from ({"row": name, **scores} for name, scores in baseline_table(started(start, 0).data.data).items())
    elif row == "gru":
        for seed, trials in product(options.seeds, options.trials or [None]):
            yield {"row": row, "seed": seed, **without_path([*start, "data.eval_batch_size=100000"], seed, trials)}
    elif row in ("ensemble", "units"):
        seeds = options.seeds[:1] if row == "units" else options.seeds
        folders = [folder / f"langevinflow-{seed}" for seed in seeds]
        for seed, member in zip(seeds, folders, strict=True):
            trained("langevinflow", options, seed, member, [])
        if row == "ensemble":
            yield {"row": row, "seeds": seeds, **averaged(folders)}
        else:
            run = load(folders[0])
            found = single_units(run.data, lambda trials: run.predict(trials, n_samples=SAMPLES).rates)
            yield from ({"row": row, "seed": seeds[0], **line} for line in found)
    else:
        for seed, size in product(options.seeds, (options.latents if row in PATHS else None) or [None]):
            extra, name = ([], row) if size is None else ([f"model.dynamics.latent_size={size}"], f"{row}-{size}-states")
            yield {"row": row, "seed": seed, **trained(row, options, seed, folder / f"{name}-{seed}", extra)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", required=True, help="folder of the recording")
    parser.add_argument("--recording", default=RECORDINGS[0], choices=RECORDINGS)
    parser.add_argument("--rows", nargs="+", default=ROWS, choices=ROWS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--trials", type=int, nargs="+", help="training trials of the row gru; all if not given")
    parser.add_argument(
        "--latents", type=int, nargs="+", help="states of the rows that decode the path; their own if not given"
    )
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
