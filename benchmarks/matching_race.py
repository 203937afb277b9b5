"""Learning without simulating beside learning by the solver: the bound of held-out trials against training time.

    python -m benchmarks.matching_race [--cases stochastic_lorenz lorenz] [--bins 40 400] [--minutes 3] [--seeds 0 1]

Both train the same prior, encoder, decoder and likelihood for the same time, with the same batches, learning rates and cosine
over the time; no entries are hidden and the divergence weighs one, so that what is trained is the bound itself. Time is that of
the training steps alone, as the process spends it, which on one thread is wall-clock time but for what else the machine does;
they train in turn, so that this slows down both. On the way the bound of held-out trials is evaluated (`--looks 10` times), by
the solver for both, with 16 importance samples, in nats per trial. `solver` steps once per bin, `solver_fine` and `matching`
as the case says: the length of a step costs matching nothing in training. `solver_whole` and `matching_whole` drop nothing of
the context: an entry that is dropped moves the marginals. `matching_part` draws most bins of a part of 80 of each trial, which
needs the override `model/encoder=local` for all, and `matching_then_solver` goes on by the solver for the last fifth of the
time. `stochastic_lorenz_local` is `stochastic_lorenz` with that encoder, which passes on what it reads, and twice its learning
rate; both want `--clip 1` (the gradient's norm; 100 if not given). The bound of a path in continuous time depends on the steps
that it is evaluated with: `model.dynamics.substeps=8` for matching where there is little noise.

Prints one JSON object a line: `case`, `how`, `seed`, `steps`, `step_ms` (median), `seconds`, `elbo`; and `speedup`: the
training time of each `solver` over that in which each `matching` reached its final value.
"""

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.runs import forever, started
from neuralsde.datamodules.batches import TrialDataModule
from neuralsde.inference import ELBO, Estimator, MatchedSDE
from neuralsde.plots.style import CATEGORIES, legend, new_figure, tidy
from neuralsde.training.module import LatentDynamics

SAMPLES = 16
BOUND = ("training.coordinated_dropout.keep_probability=1.0", "objective.kl_weight=1.0", "objective.kl_ramp_epochs=0")
# What the experiment has, with a local encoder; the noise has far to fall, and a large first gradient is soon forgotten.
LOCAL = (
    "model=latent_sde",
    "model/dynamics=neural",
    "model/likelihood=gaussian",
    "model/encoder=local",
    "data=stochastic_lorenz",
)
LOCAL += ("model.dynamics.latent_size=4", "model.dynamics.model_time=1.0", "model.encoder.hidden_size=32")
LOCAL += ("model.dynamics.sde.hidden_size=128", "model.dynamics.sde.depth=2", "optimizer.weight_decay=0.0")
LOCAL += ("model.dynamics.control.hidden_size=32", "model.dynamics.control.rate=5.0", "model.likelihood.smallest_std=0.005")
LOCAL += ("model.encoder.pass_on=true", "model.likelihood.noise_rate=5.0", "optimizer.lr=2e-2")
LOCAL += ("+optimizer.betas=[0.9,0.95]", "+optimizer.fused=true")
CASES = {
    "stochastic_lorenz": ("experiment=latent_sde/stochastic_lorenz",),
    "stochastic_lorenz_spikes": ("model=latent_sde", "data=stochastic_lorenz_spikes", "data.forward_bins=0"),
    "lorenz": ("model=latent_sde", "data=lorenz", "data.heldout_conditions=0"),
    "stochastic_lorenz_local": LOCAL,
}
BINS = {"stochastic_lorenz": 41, "stochastic_lorenz_spikes": 40, "lorenz": 50, "stochastic_lorenz_local": 41}
MODEL_TIME = {"stochastic_lorenz": 1.0, "stochastic_lorenz_local": 1.0}
WHOLE = ("model.encoder.dropout=0.0", "model.encoder.input_dropout=0.0")
PART = ("objective=sde_matching", "model.dynamics.substeps=2", "objective.points=64", "objective.observations=64")
PART += ("objective.part_bins=80", *WHOLE)
HOW = {
    "solver": ("objective=elbo",),
    "solver_whole": ("objective=elbo", *WHOLE),
    "solver_fine": ("objective=elbo", "model.dynamics.substeps=4"),
    "matching": ("objective=sde_matching", "model.dynamics.substeps=4", "objective.points=8", "objective.observations=8"),
    "matching_whole": ("objective=sde_matching", "model.dynamics.substeps=2", "objective.points=8", *WHOLE),
    "matching_part": PART,
    "matching_then_solver": PART,
}
THEN_SOLVER = 0.8  # of the time, after which that one goes on by the solver


class Curve(NamedTuple):
    """A training run: seconds and the bound at them, milliseconds of each step."""

    seconds: list[float]
    elbo: list[float]
    step_ms: list[float]


def of_length(case: str, bins: int | None) -> list[str]:
    """Trials of so many bins, in which time runs as before and which are about as many bins in all; 256 at least."""
    if bins is None:
        return []
    longer = bins / BINS[case]
    words = [f"data.observed_bins={bins}", f"model.dynamics.model_time={longer * MODEL_TIME.get(case, 4.0)}"]
    if case == "lorenz":
        return [*words, f"data.trials_per_condition={max(round(24 / longer), 5)}"]
    return [*words, f"data.n_train={max(round(1024 / longer), 256)}", f"data.n_eval={max(round(256 / longer), 32)}"]


def train(
    module: LatentDynamics,
    data: TrialDataModule,
    seconds: float,
    looks: int,
    curve: Curve,
    clip: float,
    switch: float = 1.0,
) -> Iterator[float]:
    """Train for so many seconds, look at the bound so often on the way, and tell the time spent after each step; by the solver
    after the share `switch` of the time."""
    optimizer = module.make_optimizer(module.parameter_groups())
    top = [group["lr"] for group in optimizer.param_groups]
    spent, batches = 0.0, forever(data)
    while spent < seconds:
        begin = time.process_time()
        for group, lr in zip(optimizer.param_groups, top, strict=True):
            group["lr"] = lr * min(1.0, 10 * spent / seconds + 0.1) * 0.5 * (1 + np.cos(np.pi * spent / seconds))
        if spent >= switch * seconds and module.objective.matching is not None:
            assert isinstance(module.model.dynamics, MatchedSDE)
            module.objective, module.model.dynamics.substeps = ELBO(), 1
        loss = module.loss(next(batches)).loss.total
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), clip)
        optimizer.step()
        lap = time.process_time() - begin
        spent += lap
        curve.step_ms.append(lap * 1e3)
        if spent >= (len(curve.elbo) + 1) * seconds / looks:
            curve.seconds.append(round(spent, 2)), curve.elbo.append(round(elbo(module, data), 3))
        yield spent


@torch.no_grad()
def elbo(module: LatentDynamics, data: TrialDataModule) -> float:
    """The bound of the evaluation trials, by the solver, in nats per trial."""
    module.eval()
    torch.manual_seed(0)
    total = 0.0
    for batch in data.val_dataloader():
        output = module(batch, SAMPLES, Estimator.SAMPLED)
        log_prob = module.model.likelihood.log_prob(output.parameter, batch.targets.repeat(SAMPLES, 1, 1))
        log_lik = log_prob.masked_fill(~batch.known.repeat(SAMPLES, 1, 1), 0.0).unflatten(0, (SAMPLES, -1)).sum((2, 3))
        total += module.bound(log_lik, output.kl, Estimator.SAMPLED).item()
    module.train()
    return total / len(data.eval_set)


def reached(curve: Curve, value: float) -> float | None:
    """Seconds until the bound was at least `value`, by linear interpolation; None if never."""
    for n, found in enumerate(curve.elbo):
        if found >= value:
            if n == 0:
                return curve.seconds[0]
            share = (value - curve.elbo[n - 1]) / (found - curve.elbo[n - 1])
            return curve.seconds[n - 1] + share * (curve.seconds[n] - curve.seconds[n - 1])
    return None


def race(
    case: str, bins: int | None, seed: int, seconds: float, looks: int, clip: float, hows: list[str], overrides: list[str]
) -> dict[str, Curve]:
    """All ways to learn, on one case and seed, step by step in turn, each a line; then what matching gains."""
    curves, racers = {how: Curve([], [], []) for how in hows}, {}
    for how, curve in curves.items():
        start = started([*CASES[case], *of_length(case, bins), *HOW[how], *BOUND, *overrides], seed)
        switch = THEN_SOLVER if how.endswith("then_solver") else 1.0
        racers[how] = train(start.module, start.data, seconds, looks, curve, clip, switch)
    spent = dict.fromkeys(racers, 0.0)
    while (how := min(spent, key=spent.__getitem__)) and spent[how] < seconds:
        spent[how] = next(racers[how])
    for how, curve in curves.items():
        line = {"case": case, "bins": bins or BINS[case], "how": how, "seed": seed, "steps": len(curve.step_ms)}
        line |= {"step_ms": round(statistics.median(curve.step_ms), 2), "seconds": curve.seconds, "elbo": curve.elbo}
        print(json.dumps(line), flush=True)
    solvers, matched = ([how for how in curves if how.startswith(kind)] for kind in ("solver", "matching"))
    for how in matched:
        times = {other: reached(curves[how], curves[other].elbo[-1]) for other in solvers}
        speedup = {other: t and round(seconds / t, 2) for other, t in times.items()}
        line = {"case": case, "bins": bins or BINS[case], "how": how, "seed": seed, "speedup": speedup}
        print(json.dumps(line), flush=True)
    return curves


def printed(paths: list[Path]) -> dict[tuple[str, int], list[dict[str, Curve]]]:
    """The races that printed these lines, by case and length."""
    found: dict[tuple[str, int], list[dict[str, Curve]]] = {}
    for line in (json.loads(text) for path in paths for text in path.read_text().splitlines()):
        if "elbo" in line:
            curve = Curve(line["seconds"], line["elbo"], [])
            found.setdefault((line["case"], line["bins"]), []).append({line["how"]: curve})
    return found


def draw(found: dict[tuple[str, int], list[dict[str, Curve]]], path: Path) -> None:
    """The bound against training time, a panel for each case and length, a line for each seed."""
    figure = new_figure(2.6 * len(found) + 0.4, 2.6)
    hows = dict.fromkeys(how for seeds in found.values() for seed in seeds for how in seed)
    looks = {how: {"color": CATEGORIES[n], "lw": 1.2, "marker": "o", "ms": 2} for n, how in enumerate(hows)}
    for ax, ((case, bins), seeds) in zip(np.atleast_1d(figure.subplots(1, len(found))), found.items(), strict=True):
        for how, curve in (pair for seed in seeds for pair in seed.items()):
            ax.plot(curve.seconds, np.array(curve.elbo) / bins, **looks[how])
        tidy(ax, f"{case.replace('_', ' ')}, {bins} bins", "training time (s of one thread)", "bound (nats per bin)")
    legend(figure, looks)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--how", nargs="+", default=list(HOW), choices=list(HOW))
    parser.add_argument("--bins", nargs="+", type=int, default=[None], help="of a trial; as the case has them if not given")
    parser.add_argument("--minutes", type=float, default=3.0, help="of training, for each way")
    parser.add_argument("--looks", type=int, default=10, help="at the bound of held-out trials")
    parser.add_argument("--clip", type=float, default=100.0, help="norm of the gradient, at most")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--lines", type=Path, nargs="+", help="what earlier races printed: draw it, and run none")
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.lines is not None:
        draw(printed(arguments.lines), arguments.figure)
        return
    found: dict[tuple[str, int], list[dict[str, Curve]]] = {}
    for case, bins, seed in itertools.product(arguments.cases, arguments.bins, arguments.seeds):
        seconds, rest = 60 * arguments.minutes, (arguments.clip, arguments.how, arguments.overrides)
        curves = race(case, bins, seed, seconds, arguments.looks, *rest)
        found.setdefault((case, bins or BINS[case]), []).append(curves)
    if arguments.figure is not None:
        draw(found, arguments.figure)


if __name__ == "__main__":
    main()
