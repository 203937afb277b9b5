"""The cost of a training step's objective against the number of observations: learned without simulating, and by the solver.

    python -m benchmarks.scaling [--bins 100 300 1000 3000 10000] [--repeats 15] [--figure docs/figures/scaling.png]

The objective is all that comes after the encoder: the process, decoder, likelihood and loss, and their backward pass. Matching
draws 16 times and 16 bins of each trial. Three things are measured apart:

* `objective`: the context is a constant, so that no gradient goes back to it;
* `objective+context`: with the gradient in the context, a tensor of (batch, bin, channel) that is zero in all bins but those
  drawn, and that an encoder has to be given;
* `encoder`: hiding inputs, the GRU, and its backward pass from such a gradient;
* `step`: all of it, hidden inputs, encoder and objective, with `model/encoder=local`, and for matching 8 times and 8 bins of a
  part of 40 bins of each trial.

Time is what the process spends on one thread, the median over repeats of all cases in turn (a slow
case has fewer, three or more); memory is the peak of what the
step allocates beyond what is there before (batch, context, parameters). Prints one JSON object a line, and last the longest
trial's cost over the shortest one's.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import torch
from hydra import compose, initialize_config_dir
from matplotlib.lines import Line2D
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from neuralsde.cli import CONFIGS
from neuralsde.datamodules.batches import TrialBatch
from neuralsde.datamodules.trials import DataSpec
from neuralsde.plots.style import CATEGORIES, SMALL, TRUTH, new_figure, tidy
from neuralsde.training.fit import build_module, fill_in_sizes
from neuralsde.training.module import LatentDynamics

BATCH, UNITS, BIN_S = 16, 30, 0.02
DYNAMICS = ("langevin_type", "underdamped_langevin")
HOW = {
    "matching": ("objective=sde_matching", "objective.points=16", "objective.observations=16"),
    "solver": ("objective=elbo",),
}
PARTS = ("objective", "objective+context")
STEP = ("model/encoder=local", "model.encoder.dropout=0")
STEP_OF = {"matching": ("objective.points=8", "objective.observations=8", "objective.part_bins=40"), "solver": ()}
LIMIT_S = 15.0  # that a case may take before it has been repeated as often as asked, at least three times


class Case(NamedTuple):
    """What is measured: a part of the step, of which dynamics, learned how, in trials of how many bins."""

    part: str
    dynamics: str
    how: str
    bins: int


class Given(nn.Module):
    """Stands for an encoder: the context that it has made."""

    def __init__(self, context: Tensor):
        super().__init__()
        self.context = context

    def forward(self, values: Tensor, seen: Tensor, times: Tensor) -> Tensor:
        return self.context


def build(case: Case, *overrides: str) -> LatentDynamics:
    """The module at its start, for trials of as many bins as the case says."""
    spec = DataSpec(UNITS, UNITS, case.bins, 0, BIN_S)
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        words = ["model=latent_sde", f"model/dynamics={case.dynamics}", *HOW[case.how], "run_dir=unused", *overrides]
        config = compose("train", overrides=words)
    fill_in_sizes(config, spec)
    torch.manual_seed(0)
    return build_module(config, spec)


def make_batch(bins: int) -> TrialBatch:
    """Counts without structure, which cost the same."""
    counts = torch.poisson(torch.full((BATCH, bins, UNITS), 0.2), generator=torch.Generator().manual_seed(0))
    everything, times = torch.ones_like(counts, dtype=torch.bool), torch.arange(bins)[None] * BIN_S
    return TrialBatch(counts, everything, times, counts, everything, torch.arange(BATCH))


def objective_step(case: Case, *overrides: str) -> Callable[[], None]:
    """The objective and its gradients, given a context."""
    module, batch = build(case, *overrides), make_batch(case.bins)
    context = torch.randn(BATCH, case.bins, module.model.context_size, requires_grad=case.part == "objective+context")
    module.model.encoder, masks = Given(context), module.mask(batch)

    def step() -> None:
        context.grad = None
        module.zero_grad()
        module.loss_of(batch, *masks).loss.total.backward()

    return step


def encoder_step(case: Case) -> Callable[[], None]:
    """Hidden inputs and the encoder, and its gradients given that of the context."""
    module, batch = build(case), make_batch(case.bins)
    gradient = torch.randn(BATCH, case.bins, module.model.context_size)

    def step() -> None:
        module.zero_grad()
        inputs, seen, _, _ = module.mask(batch)
        module.model.encoder(inputs, seen, batch.times).backward(gradient)

    return step


def whole_step(case: Case) -> Callable[[], None]:
    """A training step but for the optimiser's."""
    module, batch = build(case, *STEP, *STEP_OF[case.how]), make_batch(case.bins)

    def step() -> None:
        module.zero_grad()
        module.loss(batch).loss.total.backward()

    return step


def step_of(case: Case) -> Callable[[], None]:
    kinds = {"encoder": encoder_step, "step": whole_step}
    return kinds.get(case.part, objective_step)(case)


def cpu_seconds(step: Callable[[], None]) -> float:
    torch.manual_seed(0)
    begin = time.process_time()
    step()
    return time.process_time() - begin


def peak_mib(step: Callable[[], None]) -> float:
    """The most that is allocated at once during a step, beyond what was there before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    results = profiler.profiler and profiler.profiler.kineto_results
    assert results is not None
    events = [e for e in results.events() if e.name() == "[memory]"]
    held = most = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        held += event.nbytes()  # pyright: ignore[reportAttributeAccessIssue]  # the stub lacks it
        most = max(most, held)
    return most / 2**20


def peak_of(case: Case) -> float:
    step = step_of(case)
    step()  # code is loaded
    return peak_mib(step)


def measure(cases: list[Case], repeats: int) -> dict[Case, tuple[float, float]]:
    """Milliseconds and MiB of each case."""
    with get_context("fork").Pool(1, maxtasksperchild=1) as pool:  # gives back the gigabytes that a long profile takes
        memory = pool.map(peak_of, cases, chunksize=1)
    steps, seconds = {case: step_of(case) for case in cases}, {case: [] for case in cases}
    for step in steps.values():
        step()
    for n in range(repeats):
        for case, step in steps.items():
            if n < 3 or sum(seconds[case]) < LIMIT_S:
                seconds[case].append(cpu_seconds(step))
    return {case: (1e3 * statistics.median(seconds[case]), mib) for case, mib in zip(cases, memory, strict=True)}


def cases_of(bins: list[int], longest_solver: int) -> list[Case]:
    """All that is measured: matching with and without the gradient in the context, the solver, the encoder."""
    matching = [Case(part, d, "matching", n) for part in PARTS for d in DYNAMICS for n in bins]
    solver = [Case("objective", d, "solver", n) for d in DYNAMICS for n in bins if n <= longest_solver]
    steps = [Case("step", DYNAMICS[0], how, n) for how in HOW for n in bins if how == "matching" or n <= longest_solver]
    return matching + solver + [Case("encoder", DYNAMICS[0], "solver", n) for n in bins] + steps


def curves(found: dict[Case, tuple[float, float]]) -> dict[tuple[str, str, str], dict[int, tuple[float, float]]]:
    """Cost against bins, for each part, dynamics and way to learn."""
    curves: dict[tuple[str, str, str], dict[int, tuple[float, float]]] = {}
    for case, cost in found.items():
        curves.setdefault((case.part, case.dynamics, case.how), {})[case.bins] = cost
    return curves


def look_of(part: str, dynamics: str, how: str) -> tuple[str, dict[str, Any]]:
    """Name and look of a curve."""
    if part == "encoder":
        return "encoder (GRU)", {"color": TRUTH, "lw": 0.7, "marker": ".", "ms": 3}
    color = CATEGORIES[2 * list(HOW).index(how) + DYNAMICS.index(dynamics)]
    line, told = {"objective": ("-", ""), "objective+context": (":", ", with the context's gradient")}.get(
        part, ("--", ", whole step (local encoder)")
    )
    return f"{how}, {dynamics}{told}", {"color": color, "lw": 1.4, "marker": "o", "ms": 3, "ls": line}


def draw(found: dict[Case, tuple[float, float]], path: Path) -> None:
    """Write the picture."""
    figure = new_figure(7.0, 3.4)
    looks = {}
    for ax, title, n in zip(figure.subplots(1, 2), ("time of a step (ms)", "peak memory of a step (MiB)"), (0, 1), strict=True):
        for key, costs in curves(found).items():
            name, look = look_of(*key)
            ax.loglog(list(costs), [cost[n] for cost in costs.values()], **look)
            looks[name] = look
        tidy(ax, title, "observations of a trial")
    handles = [Line2D([], [], **look) for look in looks.values()]
    figure.legend(handles, list(looks), loc="outside lower center", ncols=2, fontsize=SMALL, frameon=False)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bins", type=int, nargs="+", default=[100, 300, 1000, 3000, 10000])
    parser.add_argument("--longest-solver", type=int, default=3000, help="bins beyond which the solver is not measured")
    parser.add_argument("--parts", nargs="+", default=[*PARTS, "encoder", "step"], choices=[*PARTS, "encoder", "step"])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cases = [case for case in cases_of(arguments.bins, arguments.longest_solver) if case.part in arguments.parts]
    found = measure(cases, arguments.repeats)
    for case, (ms, mib) in found.items():
        print(json.dumps({**case._asdict(), "ms": round(ms, 2), "mib": round(mib, 3)}), flush=True)
    for (part, dynamics, how), costs in curves(found).items():
        first, last = min(costs), max(costs)
        ms, mib = (round(there / here, 3) for here, there in zip(costs[first], costs[last], strict=True))
        line = {"part": part, "dynamics": dynamics, "how": how, "from": first, "to": last}
        print(json.dumps(line | {"ms_ratio": ms, "mib_ratio": mib}), flush=True)
    if arguments.figure is not None:
        draw(found, arguments.figure)


if __name__ == "__main__":
    main()
