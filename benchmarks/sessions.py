"""One model for several days beside one for each: cross-validated, each trial scored once, with what differences are worth.

    python -m benchmarks.sessions --path FOLDER [--folds 5] [--split-seed 0] [--seeds 0] [--models joined alone smoothing]
        [--weights own all last tuned] [--phase test] [--joined OVERRIDE …] [--alone OVERRIDE …] [--tuned OVERRIDE …]
        [-- OVERRIDE …]

FOLDER holds the files of `data=miller`. In each fold (`data.folds`) a part of every session is tested and another validates.
The joined model is `experiment=langevinflow/miller`, that of one session is `experiment=langevinflow/miller_session`, each with
overrides of its own. Weights (averaged ones, at each validation) are chosen four ways: `own`, by co-bps of that session's
validation trials; `all`, by that of all validation trials of the run, as `best.ckpt` is; `last`, at the end; `tuned`, at the
end of a second run of either model, `experiment=langevinflow/miller_tuned`, which goes on from there with that session's trials
alone. Test trials are touched once, after that. With `--phase val` validation trials are scored in their place: to choose a
recipe, by another `--split-seed` than is tested.

After each seed, one JSON object for each session and each way: `joined`, `alone` and `smoothing` (Poisson regression of
smoothed counts) in held-out bits per spike over all trials of the session, each scored once, against each unit's mean over a
fold's trials, log-likelihoods averaged over the `seeds` so far; `difference` is joined minus alone, `se` its standard error
over trials (bootstrap), `folds` and `by_seed` that of each fold and of each seed. Names that end in `_ensemble` are of rates
averaged over the seeds. `seconds` is the time of one run of a fold, scoring included, on this process's thread.
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
from itertools import product
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
from neuralsde.training.fit import Fit, fill_in_sizes, prepare_fit
from neuralsde.training.init_from import InitialModel
from neuralsde.training.module import LatentDynamics

SESSIONS = {
    "chewie_1003": "miller_centerout_chewie_20131003_100ms_full.npz",
    "chewie_1219": "miller_centerout_chewie_20131219_100ms_move.npz",
    "mihi_0303": "miller_centerout_mihi_20140303_100ms_move.npz",
}
ALONE = {"mihi_0303": ["training.steps=300"]}
"""Where a session alone does better so, on validation trials of another split."""
WAYS = ("own", "all", "last", "tuned")
MODELS = ("joined", "alone", "smoothing")
DRAWS = 10_000
SAMPLES = 32


class Said(NamedTuple):
    """What a model says of a session's scored trials of one fold, (trial, bin, held-out unit).

    Args:
        rates: expected counts.
        counts: NaN beyond a trial's end.
    """

    rates: np.ndarray
    counts: np.ndarray

    def log_lik(self, rates: np.ndarray | None = None) -> np.ndarray:
        """Of each trial's counts given its rates, or others, (trial,), in nats; terms of the counts alone are left out."""
        rate = np.maximum(self.rates if rates is None else rates, ZERO_RATE)
        return np.nansum(self.counts * np.log(rate) - np.where(np.isnan(self.counts), 0.0, rate), axis=(1, 2))

    def null(self) -> np.ndarray:
        """The same given each unit's mean over these trials."""
        known = np.count_nonzero(np.isfinite(self.counts), axis=(0, 1))
        return self.log_lik(np.nansum(self.counts, axis=(0, 1)) / np.maximum(known, 1) + 0 * self.rates)

    def spikes(self) -> np.ndarray:
        """Of each trial, (trial,)."""
        return np.nansum(self.counts, axis=(1, 2))


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


def words_of(
    sessions: list[str], options: argparse.Namespace, fold: int, phase: str, seed: int, tuned: str | None = None
) -> list[str]:
    """The command line that trains these sessions on a fold, or goes on with one of them."""
    joined = len(sessions) > 1
    experiment = "miller_tuned" if tuned else "miller" if joined else "miller_session"
    words = [f"experiment=langevinflow/{experiment}", *([] if joined else [f"data=miller_{sessions[0]}"])]
    if tuned:
        words += [f"data.only={tuned}"] if joined else []
    elif not joined:
        words += ALONE.get(sessions[0], [])
    for name in sessions:
        prefix = f"data.sessions.{name}" if joined else "data"
        path = Path(options.path) / SESSIONS[name]
        own = {"folds": options.folds, "fold": fold, "split_seed": options.split_seed, "path": path}
        words += [f"{prefix}.{key}={value}" for key, value in own.items()]
    own = options.tuned if tuned else options.joined if joined else options.alone
    words += [f"data.phase={phase}", f"seed={seed}", *options.overrides, *own]
    return [*words, "logger=csv", "run_dir=unused", "trainer.accelerator=cpu"]


def made(words: list[str]) -> tuple[Any, TrialDataModule]:
    """The config that the words compose, and its data."""
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        config = compose("train", overrides=words)
    return config, instantiate_part(config, "data")


def trained(sessions: list[str], options: argparse.Namespace, fold: int, seed: int) -> Iterator[tuple[str, str, Said]]:
    """Way, session and what one run says of its trials."""

    def words(phase: str, tuned: str | None = None) -> list[str]:
        return words_of(sessions, options, fold, phase, seed, tuned)

    def told(fit: Fit, weights: dict[str, Tensor], test: TrialData) -> Iterator[tuple[str, Said]]:
        fit.module.model.load_state_dict(weights)
        rates = predict(fit.module.eval(), test.eval, n_samples=SAMPLES, label="").rates
        return ((name, said(test, rates, rows)) for name, rows in rows_of(test).items())

    config, data = made(words("val"))
    fit, chosen = fitted(config, data, seed)
    test = data if options.phase == "val" else made(words(options.phase))[1]
    for weights in ("all", "last", *sessions):
        if (way := "own" if weights in sessions else weights) in options.weights:
            yield from ((way, *of) for of in told(fit, chosen[weights], test.data) if weights in ("all", "last", of[0]))
    if "tuned" not in options.weights:
        return
    for name in sessions:
        further, data = made(words("val", name))
        further.model = config.model
        initial = InitialModel(Path("last.ckpt"), data.spec, {f"model.{key}": value for key, value in chosen["last"].items()})
        fit, last = fitted(further, data, seed, initial)
        test = data if options.phase == "val" else made(words(options.phase, name))[1]
        yield from (("tuned", *of) for of in told(fit, last["last"], test.data))


def fitted(
    config: Any, data: TrialDataModule, seed: int, initial: InitialModel | None = None
) -> tuple[Fit, dict[str, dict[str, Tensor]]]:
    """A run that was trained, and its weights by the way they are chosen, as `Chooser` has them."""
    L.seed_everything(seed, verbose=False)
    fill_in_sizes(config, data.spec)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        fit, chooser = prepare_fit(config, data, Path(folder), initial), Chooser(data.data)
        fit.run([], [chooser])
    return fit, chooser.weights


def said(data: TrialData, rates: np.ndarray, rows: slice) -> Said:
    """Of the held-out units of the trials `rows`."""
    counts = data.eval.heldout
    assert counts is not None
    return Said(rates[rows, : counts.shape[1], data.spec.observed_dim :].astype(np.float64), counts[rows].astype(np.float64))


def smoothed(name: str, options: argparse.Namespace, fold: int) -> Said:
    """The same of the smoothing baseline."""
    data = made(words_of([name], options, fold, options.phase, 0))[1].data
    return said(data, smoothing(data).eval, slice(None))


def line(found: Mapping[str, list[list[Said]]]) -> dict[str, Any]:
    """Scores of one session, from what each model says, by seed and fold."""
    folds = next(iter(found.values()))[0]
    null, spikes = (np.concatenate([part(fold) for fold in folds]) for part in (Said.null, Said.spikes))
    line: dict[str, Any] = {"trials": len(spikes)}
    told = {"": {model: [whole(folds) for folds in seeds] for model, seeds in found.items()}}
    if any(len(seeds) > 1 for seeds in found.values()):
        told["_ensemble"] = {model: [whole(averaged(seeds))] for model, seeds in found.items() if len(seeds) > 1}
    for ending, models in told.items():
        for model, seeds in models.items():
            line[model + ending] = float((np.mean(seeds, 0) - null).sum() / spikes.sum() / np.log(2))
        if "joined" not in models or "alone" not in models:
            continue
        pairs = [(a - b) / np.log(2) for a, b in zip(models["joined"], models["alone"], strict=True)]
        more = np.mean(pairs, 0)
        drawn = np.random.default_rng(0).integers(len(more), size=(DRAWS, len(more)))
        line["difference" + ending] = float(more.sum() / spikes.sum())
        line["se" + ending] = float((more[drawn].sum(1) / spikes[drawn].sum(1)).std())
        edges = np.cumsum([len(fold.counts) for fold in folds])[:-1]
        parts = zip(np.split(more, edges), np.split(spikes, edges), strict=True)
        line["folds" + ending] = [float(a.sum() / b.sum()) for a, b in parts]
        if len(pairs) > 1:
            line["by_seed"] = [float(one.sum() / spikes.sum()) for one in pairs]
    return line


def whole(folds: list[Said]) -> np.ndarray:
    """Log-likelihoods of all folds' trials."""
    return np.concatenate([fold.log_lik() for fold in folds])


def averaged(seeds: list[list[Said]]) -> list[Said]:
    """The folds with rates averaged over seeds."""
    return [Said(np.mean([one.rates for one in fold], 0), fold[0].counts) for fold in zip(*seeds, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", required=True, help="folder of the recordings")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--split-seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--weights", nargs="+", default=list(WAYS), choices=WAYS, help="ways in which weights are chosen")
    parser.add_argument("--phase", default="test", choices=["val", "test"], help="trials that are scored")
    parser.add_argument("--joined", nargs="+", default=[], help="overrides of the joined model's command")
    parser.add_argument("--alone", nargs="+", default=[], help="overrides of the other models' command")
    parser.add_argument("--tuned", nargs="+", default=[], help="overrides of the second run's command, of either model")
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    quiet_chatter()
    torch.set_num_threads(1)
    found: dict[tuple[str, str], dict[str, list[list[Said]]]] = defaultdict(lambda: defaultdict(list))
    seconds = defaultdict(list)
    for number, seed in enumerate(options.seeds):
        for model in options.models:
            if model == "smoothing" and number:
                continue
            for sessions in [list(SESSIONS)] if model == "joined" else [[name] for name in SESSIONS]:
                parts: dict[tuple[str, str], list[Said]] = defaultdict(list)
                for fold in range(options.folds):
                    begin = time.thread_time()
                    for way, name, of in runs(model, sessions, options, fold, seed):
                        parts[way, name].append(of)
                    seconds[model].append(time.thread_time() - begin)
                for (way, name), folds in parts.items():
                    found[name, way][model].append(folds)
        took = {model: round(float(np.mean(of)), 1) for model, of in seconds.items()}
        for name, way in product(SESSIONS, options.weights):
            told = {"session": name, "weights": way, "seeds": options.seeds[: number + 1], **line(found[name, way])}
            print(json.dumps({key: rounded(value) for key, value in (told | {"seconds": took}).items()}), flush=True)


def runs(model: str, sessions: list[str], options: argparse.Namespace, fold: int, seed: int) -> Iterator[tuple[str, str, Said]]:
    """Way, session and what is said of its trials; smoothing says the same whichever way weights are chosen."""
    if model != "smoothing":
        return trained(sessions, options, fold, seed)
    of = smoothed(sessions[0], options, fold)
    return ((way, sessions[0], of) for way in options.weights)


def rounded(value: Any) -> Any:
    """Numbers of a line to four places."""
    if isinstance(value, list):
        return [rounded(x) for x in value]
    return round(value, 4) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
