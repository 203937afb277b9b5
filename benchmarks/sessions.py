"""One model for several days beside one for each: cross-validated, each trial scored once, with what differences are worth.

    python -m benchmarks.sessions --path FOLDER [--folds 5] [--split-seed 0] [--seeds 0] [--models joined alone smoothing]
        [--phase test] [--joined OVERRIDE …] [--alone OVERRIDE …] [-- OVERRIDE …]

FOLDER holds the files of `data=miller`. In each fold (`data.folds`) a part of every session is tested and another validates.
The joined model is `experiment=langevinflow/miller`, that of one session `experiment=langevinflow/miller_session` with its data.
Weights (averaged ones, at each validation) are chosen three ways: `own`, by co-bps of that session's validation trials; `all`, by
that of all validation trials of the run, as `best.ckpt` is; `last`, at the end. Test trials are touched once, after that. With
`--phase val` validation trials are scored in their place: to choose a recipe, by another `--split-seed` than is tested.

Prints one JSON object for each session and each way: `joined`, `alone` and `smoothing` (Poisson regression of smoothed counts)
in held-out bits per spike over all its trials, against each unit's mean over a fold's trials, log-likelihoods averaged over
`--seeds`; `difference` is joined minus alone, `se` its standard error over trials (bootstrap) and `folds` that of each fold.
`seconds` is the time of training one model of a fold, joined and alone, on this process's thread.
"""

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import numpy as np
import torch
from hydra import compose, initialize_config_dir
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from neuralsde.cli import CONFIGS, quiet_chatter
from neuralsde.datamodules.batches import TrialDataModule
from neuralsde.datamodules.trials import Session, TrialData
from neuralsde.evaluation.baselines import smoothing
from neuralsde.evaluation.predict import predict
from neuralsde.metrics import bits_per_spike
from neuralsde.metrics.spikes import ZERO_RATE
from neuralsde.training.build import instantiate_part
from neuralsde.training.fit import fill_in_sizes, prepare_fit
from neuralsde.training.module import LatentDynamics

SESSIONS = {
    "chewie_1003": "miller_centerout_chewie_20131003_100ms_full.npz",
    "chewie_1219": "miller_centerout_chewie_20131219_100ms_move.npz",
    "mihi_0303": "miller_centerout_mihi_20140303_100ms_move.npz",
}
WAYS = ("own", "all", "last")
MODELS = ("joined", "alone", "smoothing")
DRAWS = 10_000
SAMPLES = 32


class Scored(NamedTuple):
    """A session's scored trials of one fold.

    Args:
        log_lik: of their held-out counts, (trial,), in nats; constants left out.
        null: the same of each unit's mean over them.
        spikes: held-out ones of each, (trial,).
    """

    log_lik: np.ndarray
    null: np.ndarray
    spikes: np.ndarray


class Chooser(Callback):
    """Keeps the averaged weights that validate best, of each session and of all together, and the last ones.

    Args:
        data: the joined recording, or one session.
    """

    def __init__(self, data: TrialData):
        self.data, self.best = data, defaultdict(lambda: -np.inf)
        self.weights: dict[str, dict[str, Tensor]] = {}

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, LatentDynamics)
        rates, targets = (np.concatenate(parts) for parts in zip(*pl_module._val, strict=True))
        heldout = slice(self.data.spec.observed_dim, None)
        scores = {"all": bits_per_spike(rates[..., heldout], targets[..., heldout]), "last": np.inf}
        for name, rows in rows_of(self.data).items():
            scores[name] = bits_per_spike(rates[rows][..., heldout], targets[rows][..., heldout])
        for name, score in scores.items():
            if score > self.best[name] or name == "last":
                self.best[name], self.weights[name] = score, deepcopy(pl_module.model.state_dict())


def rows_of(data: TrialData) -> dict[str, slice]:
    """Evaluation trials of each session, or of the only one."""
    sessions = data.sessions or {data.name.removeprefix("miller_"): Session(data, np.arange(data.spec.target_dim), 0, 0)}
    return {name: slice(s.first_eval, s.first_eval + len(s.data.eval)) for name, s in sessions.items()}


def words_of(sessions: list[str], options: argparse.Namespace, fold: int, phase: str, seed: int) -> list[str]:
    """The command line that trains these sessions on a fold."""
    joined = len(sessions) > 1
    words = ["experiment=langevinflow/miller" if joined else "experiment=langevinflow/miller_session"]
    words += [] if joined else [f"data=miller_{sessions[0]}"]
    for name in sessions:
        prefix = f"data.sessions.{name}" if joined else "data"
        path = Path(options.path) / SESSIONS[name]
        own = {"folds": options.folds, "fold": fold, "split_seed": options.split_seed, "path": path}
        words += [f"{prefix}.{key}={value}" for key, value in own.items()]
    words += [f"data.phase={phase}", f"seed={seed}", *options.overrides, *(options.joined if joined else options.alone)]
    return [*words, "logger=csv", "run_dir=unused", "trainer.accelerator=cpu"]


def made(words: list[str]) -> tuple[Any, TrialDataModule]:
    """The config that the words compose, and its data."""
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        config = compose("train", overrides=words)
    return config, instantiate_part(config, "data")


def trained(sessions: list[str], options: argparse.Namespace, fold: int, seed: int) -> Iterator[tuple[str, str, Scored]]:
    """Way, session and what the test trials say, of one run."""
    config, data = made(words_of(sessions, options, fold, "val", seed))
    L.seed_everything(seed, verbose=False)
    fill_in_sizes(config, data.spec)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        fit, chooser = prepare_fit(config, data, Path(folder)), Chooser(data.data)
        fit.run([], [chooser])
    test = data if options.phase == "val" else made(words_of(sessions, options, fold, options.phase, seed))[1]
    for weights in ("all", "last", *sessions):
        fit.module.model.load_state_dict(chooser.weights[weights])
        rates = predict(fit.module.eval(), test.data.eval, n_samples=SAMPLES, label="").rates
        for name, rows in rows_of(test.data).items():
            if weights in ("all", "last", name):
                yield "own" if weights == name else weights, name, scored(test.data, rates, rows)


def scored(data: TrialData, rates: np.ndarray, rows: slice) -> Scored:
    """Of the held-out units of the trials `rows`."""
    counts = data.eval.heldout
    assert counts is not None
    counts = counts[rows].astype(np.float64)
    rates = rates[rows, : counts.shape[1], data.spec.observed_dim :]
    mean = np.nansum(counts, axis=(0, 1)) / np.maximum(np.isfinite(counts).sum((0, 1)), 1)

    def log_lik(rate: np.ndarray) -> np.ndarray:
        rate = np.maximum(np.broadcast_to(rate, counts.shape), ZERO_RATE)
        return np.nansum(counts * np.log(rate) - rate, axis=(1, 2))

    return Scored(log_lik(rates), log_lik(mean), np.nansum(counts, axis=(1, 2)))


def smoothed(name: str, options: argparse.Namespace, fold: int) -> Scored:
    """The same of the smoothing baseline."""
    data = made(words_of([name], options, fold, options.phase, 0))[1].data
    return scored(data, smoothing(data).eval, slice(None))


def line(found: Mapping[str, list[list[Scored]]]) -> dict[str, Any]:
    """Scores of one session: from each model's trials, by seed and fold."""
    log_lik = {}
    for model, seeds in found.items():
        log_lik[model] = np.mean([np.concatenate([fold.log_lik for fold in folds]) for folds in seeds], 0)
    folds = next(iter(found.values()))[0]
    null, spikes = (np.concatenate([getattr(fold, part) for fold in folds]) for part in ("null", "spikes"))
    bits = np.log(2) * spikes.sum()
    line: dict[str, Any] = {"trials": len(spikes)} | {model: float((of - null).sum() / bits) for model, of in log_lik.items()}
    if "joined" in found and "alone" in found:
        more = (log_lik["joined"] - log_lik["alone"]) / np.log(2)
        drawn = np.random.default_rng(0).integers(len(more), size=(DRAWS, len(more)))
        edges = np.cumsum([len(fold.spikes) for fold in folds])[:-1]
        by_fold = [float(a.sum() / b.sum()) for a, b in zip(np.split(more, edges), np.split(spikes, edges), strict=True)]
        line |= {"difference": float(more.sum() / spikes.sum())}
        line |= {"se": float((more[drawn].sum(1) / spikes[drawn].sum(1)).std()), "folds": by_fold}
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", required=True, help="folder of the recordings")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--split-seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--phase", default="test", choices=["val", "test"], help="trials that are scored")
    parser.add_argument("--joined", nargs="+", default=[], help="overrides of the joined model's command")
    parser.add_argument("--alone", nargs="+", default=[], help="overrides of the other models' command")
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    quiet_chatter()
    torch.set_num_threads(1)
    found: dict[tuple[str, str], dict[str, list[list[Scored]]]] = defaultdict(lambda: defaultdict(list))
    seconds = defaultdict(list)
    for model in options.models:
        runs = [list(SESSIONS)] if model == "joined" else [[name] for name in SESSIONS]
        for seed in options.seeds if model != "smoothing" else [0]:
            for sessions in runs:
                parts: dict[tuple[str, str], list[Scored]] = defaultdict(list)
                for fold in range(options.folds):
                    begin = time.thread_time()
                    if model == "smoothing":
                        for way in WAYS:
                            parts[way, sessions[0]].append(smoothed(sessions[0], options, fold))
                    else:
                        for way, name, of in trained(sessions, options, fold, seed):
                            parts[way, name].append(of)
                    seconds[model].append(time.thread_time() - begin)
                for (way, name), folds in parts.items():
                    found[name, way][model].append(folds)
    took = {model: round(float(np.mean(of)), 1) for model, of in seconds.items()}
    for name in SESSIONS:
        for way in WAYS:
            told = {"session": name, "weights": way, **line(found[name, way]), "seconds": took}
            print(json.dumps({key: rounded(value) for key, value in told.items()}), flush=True)


def rounded(value: Any) -> Any:
    """Numbers of a line to four places."""
    if isinstance(value, list):
        return [round(x, 4) for x in value]
    return round(value, 4) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
