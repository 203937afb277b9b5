"""Models of irregular series on the benchmarks' test series: `python -m benchmarks.irregular --table ucr --path FOLDER`.

FOLDER as for `benchmarks.irregular_baselines`, which prints the trivial rows of the same tables. Each model is trained as the
command line trains it, selected on the validation series, and scored on the test series once, or with `--phase val`, to choose
settings, on the validation series; one JSON object per model, setting and seed, and then one with mean and standard deviation
over the seeds. Words behind `--` go to the command line.

    mujoco          mean square error, CRPS, NLL of the 10 steps ahead
    physionet2012   the same of the held-out values, beside those of channel mean and linear interpolation with the same masks,
                    one draw per seed; mtan_mse is over all observed values, of which those that are kept are copied through
                    (of the published form: predicted too)
    ucr             accuracy; with `--models ours paper minirocket`, at the end what the table comes to, rate by rate

`--resume FILE` does not repeat the runs that a file of such lines holds, and appends those that are made.
"""

import argparse
import contextlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from benchmarks.interpolation_rows import copied_through, heldout, trivial_rows
from benchmarks.irregular_claims import claims
from neuralsde.cli import CONFIGS
from neuralsde.datamodules.irregular.baselines import minirocket_ridge
from neuralsde.datamodules.irregular.ucr import UCRArchive
from neuralsde.evaluation.distribution import distribution_scores
from neuralsde.evaluation.load import load
from neuralsde.evaluation.scores import score
from neuralsde.training.build import instantiate_part
from neuralsde.workflow import train

EXPERIMENTS = {
    "mujoco": {"ours": "stable_sde/mujoco", "paper": "stable_sde_paper/mujoco"},
    "physionet2012": {"ours": "stable_sde/physionet2012", "paper": "stable_sde_paper/physionet2012"},
    "ucr": {"ours": "stable_sde/ucr", "paper": "stable_sde_paper/ucr"},
}
PEERS = ("gru_d", "neural_cde", "latent_ode")
FOR_PEERS = {
    "mujoco": ["model/likelihood=contaminated", "training.monitor=val/mse", "training.steps=800"],
    "physionet2012": ["model/likelihood=heteroscedastic", "training.monitor=val/mse", "training.steps=225"],
    "ucr": ["model/likelihood=categorical", "training.monitor=val/accuracy", "training.steps=500"],
}
"""As many steps as ours, and its likelihood; else the models' own settings, which were not tuned."""
RATES = {"mujoco": (0.0, 0.3, 0.5, 0.7), "physionet2012": (0.5, 0.6, 0.7, 0.8, 0.9), "ucr": (0.0, 0.3, 0.5, 0.7)}
KEYS = {"mujoco": "missing_rate", "physionet2012": "observed", "ucr": "missing_rate"}
OF_A_RUN = ("set", "missing_rate", "model", "phase", "words", "seed")
FILES = {"mujoco": "mujoco/mujoco.npy", "physionet2012": "physionet2012", "ucr": "ucr"}


def composed(words: list[str]) -> DictConfig:
    """The config that words of the command line describe."""
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        return compose("train", overrides=words)


def words_of(table: str, model: str, options: argparse.Namespace, rate: float, name: str, seed: int) -> list[str]:
    """The command line of one run."""
    words = [f"model={model}", f"data={table}", *FOR_PEERS[table]]
    if model not in PEERS:
        words = [f"experiment={EXPERIMENTS[table][model]}"]
    words += [f"data.reader.{KEYS[table]}={rate}", f"seed={seed}"]
    path = options.path / FILES[table]
    if table == "ucr":
        words += [f"data.reader.name={name}", f"data.reader.seed={seed}"]
    if table == "physionet2012":
        words.append(f"data.reader.mask_seed={seed}")
    if table != "ucr" or (path / name).is_dir():
        words.append(f"data.reader.path={path}")
    return [*words, "logger=csv", "training.plots=false", "training.baselines=false", *options.overrides]


def run(words: list[str], phase: str) -> dict[str, float]:
    """Train, then score the checkpoint that the run predicts with on the series of `phase`."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            train(composed([*words, f"run_dir={folder}/run", "predict.n_samples=1"]))  # scores that nobody looks at
        trained, seconds = load(Path(folder) / "run"), time.monotonic() - begin
    config = composed([*words, "run_dir=unused", f"data.phase={phase}"])
    recording = instantiate_part(config, "data").data
    settings = config.predict
    if recording.spec.kind == "real":
        hidden = heldout(recording.eval) if config.data.task == "interpolation" else recording.eval
        found = distribution_scores(trained.module, hidden, settings.n_samples, settings.seed)
        if config.data.task == "interpolation" and config.data.learn_kept:  # the same draws, kept values predicted as well
            everywhere = distribution_scores(trained.module, recording.eval, settings.n_samples, settings.seed)
            found["mtan_mse"] = everywhere["mse"]
        elif config.data.task == "interpolation":
            found |= copied_through(recording.eval, found["mse"])
    else:
        found = score(recording, None, trained.predict(recording.eval, n_samples=settings.n_samples).rates)
    return found | {"seconds": round(seconds, 1)}


def minirocket(options: argparse.Namespace, rate: float, name: str, seed: int) -> dict[str, float]:
    """MiniRocket and ridge on the same split with the same values dropped."""
    begin, folder = time.monotonic(), options.path / FILES["ucr"]
    place = folder if (folder / name).is_dir() else None
    data = UCRArchive(name, place, rate, seed=seed, lengths="interpolated").read()
    found = minirocket_ridge(replace(data, test=getattr(data, options.phase)), seed)
    return {"accuracy": found.scores["accuracy"], "seconds": round(time.monotonic() - begin, 1)}


def earlier(file: Path | None) -> list[dict[str, object]]:
    """The lines of a file, none where there is none yet."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file is not None and file.is_file() else []


def summary(runs: list[dict[str, float]]) -> dict[str, float]:
    """Mean and standard deviation over runs."""
    spread = {}
    for key in runs[0]:
        values = np.array([found[key] for found in runs])
        spread |= {key: float(f"{values.mean():.4g}"), f"{key}_sd": float(f"{values.std():.2g}")}
    return spread


def trivial_lines(options: argparse.Namespace, rate: float) -> Iterator[dict[str, object]]:
    """Lines of PhysioNet's trivial predictors, on the data that the models of the same seeds are scored on."""
    table = name = "physionet2012"
    for seed in options.seeds:
        words = [*words_of(table, "ours", options, rate, name, seed), "run_dir=unused"]
        for model, scores in trivial_rows(instantiate_part(composed(words), "data").reader.read()):
            facts = {"table": table, "set": name, KEYS[table]: rate, "model": model, "seed": seed}
            yield {**facts, **{k: float(f"{v:.4g}") for k, v in scores.items()}}


def lines(options: argparse.Namespace) -> Iterator[dict[str, object]]:
    """A line per run, and one per setting; for classes one per rate at the end."""
    table, made = options.table, []
    done = {
        tuple(line.get(k, "") for k in OF_A_RUN): line
        for line in earlier(options.resume)
        if line.get("table") == "ucr" and "seed" in line
    }
    for name in options.sets if table == "ucr" else [table]:
        for rate in options.rates or RATES[table]:
            if table == "physionet2012" and options.phase == "test":
                yield from trivial_lines(options, rate)
            for model in options.models:
                facts = {"table": table, "set": name, KEYS[table]: rate, "model": model, "phase": options.phase}
                facts["words"] = " ".join(options.overrides)
                runs = []
                for seed in options.seeds:
                    line = done.get(tuple({**facts, "seed": seed}[k] for k in OF_A_RUN)) if table == "ucr" else None
                    if line is None:
                        if model == "minirocket":
                            found = minirocket(options, rate, name, seed)
                        else:
                            found = run(words_of(table, model, options, rate, name, seed), options.phase)
                        line = {**facts, "seed": seed, **{k: float(f"{v:.4g}") for k, v in found.items()}}
                        yield line
                    made.append(line)
                    runs.append({k: v for k, v in line.items() if k not in (*facts, "seed")})
                if len(runs) > 1:
                    yield {**facts, "seeds": len(runs), **summary(runs)}
    if table == "ucr":
        yield from claims(made)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", required=True, choices=list(EXPERIMENTS))
    parser.add_argument("--path", type=Path, required=True)
    parser.add_argument("--models", nargs="+", default=["ours"], choices=["ours", "paper", *PEERS, "minirocket"])
    parser.add_argument("--rates", type=float, nargs="+", help="share that is dropped (PhysioNet: observed)")
    parser.add_argument("--sets", nargs="+", default=["GunPoint", "BasicMotions"], help="of the archives")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--resume", type=Path, help="file of lines that are made already (ucr alone)")
    parser.add_argument("--phase", choices=["test", "val"], default="test", help="series that are scored")
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    if not options.path.is_dir():
        parser.error(f"there is no folder {options.path}")
    allowed = {*EXPERIMENTS[options.table], *PEERS, *(["minirocket"] if options.table == "ucr" else [])}
    if wrong := [model for model in options.models if model not in allowed]:
        parser.error(f"--models {wrong[0]} is not for --table {options.table}")
    if options.resume is not None and options.table != "ucr":
        parser.error("--resume is for --table ucr")
    torch.set_num_threads(1)
    for line in lines(options):
        print(json.dumps(line), flush=True)
        if options.resume is not None and "seed" in line:
            with options.resume.open("a") as file:
                file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
