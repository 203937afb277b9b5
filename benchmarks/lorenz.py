"""Lorenz trajectories from spikes alone: LangevinFlow, its default, the released model, a GRU, and what needs no dynamics.

    python -m benchmarks.lorenz [--data generator file] [--path FILE.h5] [--rows langevinflow default released gru baselines]
        [--seeds 0 1 2] [--runs FOLDER] [-- OVERRIDE …]

`generator` is `data=lorenz`, `file` is `data=lfads_lorenz`, which needs `--path`. Rows: `langevinflow` decodes its latent path
alone (`experiment=langevinflow/lorenz`, `…/lfads_lorenz`); `default` is `model=langevinflow`, whose decoder reads the encoder's
context too; `released` is the released architecture with its MC_Maze settings (`experiment=langevinflow_released/…`), none
having been released for these data; `gru` is the encoder of `langevinflow` and a linear read-out, under the same loss. Of `gru`
and `released` the last weights are scored, of the others the best by co-bps. `baselines` are smoothing with Poisson regression
and the mean response of the true condition; `best_psth` is that mean response with the kernel and the shrinkage that score
best against the true rates of the evaluation trials, which no one who has spikes alone could choose: one line for log-rates,
one for rates.

Prints one JSON object a line: `data`, `row`, `seed`, `command` (where a command trains the same), `seconds` (of this process,
on one thread), and of the evaluation trials `rate_r2` (log-rates, pooled over neurons, each around its own mean; see
`neuralsde.metrics.rate_r2`), `rate_r2_uniform` (the mean of the neurons' own), `raw_rate_r2` (rates instead of log-rates,
pooled), `state_r2` (Lorenz states by an affine map of the latents that is fitted to training trials) and `co_bps`; of the
generator's conditions that were never trained on the same behind `heldout_conditions/`. No true rate or state is learned
from. Runs are kept in `--runs`, and one that is there already is not trained again.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.continuous_recordings import GRU, fit
from benchmarks.runs import started, trained
from neuralsde.cli import quiet_chatter
from neuralsde.datamodules.batches import stack_targets
from neuralsde.datamodules.trials import TrialData
from neuralsde.evaluation.baselines import (
    PSEUDO_TRIALS,
    SplitRates,
    condition_psth,
    for_each_split,
    labels_of,
    shrunk_psth,
    smoothing,
)
from neuralsde.evaluation.scores import score
from neuralsde.metrics import pooled_r2, rate_r2, state_r2

KEYS = {"generator": "lorenz", "file": "lfads_lorenz"}
MODELS = {"langevinflow": "experiment=langevinflow/{}", "default": "data={}", "released": "experiment=langevinflow_released/{}"}
ROWS = [*MODELS, "gru", "baselines"]
MERITS = {"rate_r2": lambda rates, truth: rate_r2(rates, truth).pooled, "raw_rate_r2": pooled_r2}
KERNELS_BINS = (0.5, 1, 1.5, 2, 3, 4, 5, 6, 8)


def measured(data: TrialData, rates: SplitRates, latents: dict[str, np.ndarray] | None = None) -> dict[str, float]:
    """Scores of rates, and of latents by the name of their split."""
    latents = latents or {}
    scores = score(data, rates.train, rates.eval, rates.extra, latents.get("train"), latents.get("eval"))
    splits = {"": (data.eval, rates.eval)} | {f"{name}/": (data.extra[name], found) for name, found in rates.extra.items()}
    for prefix, (trials, predicted) in splits.items():
        if trials.rates is not None:
            scores[f"{prefix}raw_rate_r2"] = pooled_r2(predicted, trials.rates)
        if prefix and latents:
            scores[f"{prefix}state_r2"] = state_r2(latents["train"], data.train.states, latents[prefix[:-1]], trials.states)
    return scores


def of_run(words: list[str], folder: Path) -> dict[str, float]:
    """Scores of a run, trained if it is not there yet."""
    run = trained(words, folder)
    found = {name: run.predict(name) for name in ("train", "eval", *run.data.extra)}
    rates = {name: prediction.rates for name, prediction in found.items()}
    splits = SplitRates(rates.pop("train"), rates.pop("eval"), rates)
    return measured(run.data, splits, {name: prediction.latents for name, prediction in found.items()})


def without_path(words: list[str], seed: int) -> dict[str, float]:
    """Scores of the encoder with a linear read-out."""
    config, module, data = started([*words, "data.eval_batch_size=100000"], seed)
    net = GRU(module)
    fit(net, lambda batch: net.loss(module, batch), data, config.training.steps, config)
    return measured(data.data, for_each_split(data.data, lambda trials: net.rates_of(module, data, trials)))


def baselines(data: TrialData) -> Iterator[dict[str, Any]]:
    """A line for each."""
    for baseline in (smoothing, condition_psth):
        yield {"row": baseline.__name__, **measured(data, baseline(data))}
    for chosen_by in MERITS:
        yield {"row": "best_psth", "chosen_by": chosen_by, **best_psth(data, MERITS[chosen_by])}


def best_psth(data: TrialData, merit: Callable[[np.ndarray, np.ndarray], float]) -> dict[str, float]:
    """The best that a smoothed mean response can be, and how it is smoothed."""
    counts = stack_targets(data.train, data.spec)
    tables = {
        (kernel, pseudo_trials): shrunk_psth(counts, data.train.condition, kernel, pseudo_trials)
        for kernel, pseudo_trials in product(KERNELS_BINS, (0.0, *PSEUDO_TRIALS))
    }
    best = max(tables, key=lambda choice: merit(tables[choice](data.eval.condition), data.eval.rates))
    rates = for_each_split(data, lambda trials: tables[best](labels_of(trials)))
    return {"kernel_bins": best[0], "pseudo_trials": best[1], **measured(data, rates)}


def lines(key: str, row: str, options: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """The lines of a row on one data set."""
    name = KEYS[key]
    own = [] if key == "generator" else [f"data.path={options.path}"]
    if row == "baselines":
        yield from baselines(started([f"data={name}", *own, *options.overrides], 0).data.data)
        return
    for seed in options.seeds:
        chosen = MODELS.get(row, MODELS["langevinflow"]).format(name)
        words, begin = [chosen, *own, *options.overrides], time.process_time()
        if row == "gru":
            command, scores = {}, without_path(words, seed)
        else:
            own_command = ["data.path=FILE.h5"] * len(own)
            command = {"command": " ".join(["python train.py", chosen, *own_command, f"seed={seed}", *options.overrides])}
            scores = of_run([*words, f"seed={seed}"], folder / f"{key}-{row}-{seed}")
        yield {"row": row, "seed": seed, **command, "seconds": time.process_time() - begin, **scores}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=list(KEYS), choices=list(KEYS))
    parser.add_argument("--path", help="the file of `file`")
    parser.add_argument("--rows", nargs="+", default=ROWS, choices=ROWS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, help="folder of the runs; a temporary one if not given")
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    if "file" in options.data and (options.path is None or not Path(options.path).exists()):
        parser.error(f"there is no file {options.path}; give --path FILE.h5, or --data generator")
    quiet_chatter()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        for key in options.data:
            for row in options.rows:
                for line in lines(key, row, options, options.runs or Path(temporary)):
                    rounded = {name: round(value, 4) if isinstance(value, float) else value for name, value in line.items()}
                    print(json.dumps({"data": key, **rounded}), flush=True)


if __name__ == "__main__":
    main()
