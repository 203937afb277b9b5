"""One training step of a stable neural SDE in its published form: ours beside the published recipe on torchsde.

    python -m benchmarks.stable_step [--cases mujoco ucr_100] [--families lnsde] [--rounds 9] [--missing 0.3] [--threads 2]

Forward pass, loss, backward pass and Adam at the same batch, rows, channels and net (64 wide, two layers behind the mix). Ours
is the whole model from the observed values on; the recipe begins with the pieces of its splines, which its code computes
beforehand. Every round times every contestant in turn. The machine may have other work, so that `ratio` = peer / ours is that
of processor time, median over the rounds; `clock_ratio` is that of the clock, which counts with several threads on quiet cores.

Peers: `recipe` with torchsde's default Brownian motion; `recipe_tuned` with one that knows its step and forgets nothing;
`torch_loop`, ours without the C kernel; `plain_loop`, ours without a loop written by hand; `limit`, the matrix products that
the net needs in single precision and the normals, and nothing else.
"""

import argparse
import functools
import itertools
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.peers.stable_recipe import FAMILIES, StableClassifier, StableForecaster, StableRecipe
from benchmarks.peers.torch_peers import without_kernels
from neuralsde.inference import ELBO, DrivenSDE
from neuralsde.likelihoods import Categorical, Gaussian
from neuralsde.models import LatentModel
from neuralsde.nn.decoders import MLPDecoder, PublishedClassifier
from neuralsde.nn.encoders import ControlPath
from neuralsde.sde import AbstractPublishedStable, PublishedGeometric, PublishedLangevinType, PublishedLinearNoise
from neuralsde.solvers import EulerMaruyama
from neuralsde.training.heap import keep_freed_memory

SIZE, DEPTH, AHEAD, CLASSES, PENALTY = 64, 2, 10, 6, 0.01
EQUATIONS: dict[str, type[AbstractPublishedStable]] = dict(
    zip(FAMILIES, (PublishedLangevinType, PublishedLinearNoise, PublishedGeometric), strict=True)
)


@dataclass(frozen=True)
class Case:
    """`channels` counts time where the control reads it; a forecast is read off the last `AHEAD` rows, a class off the last."""

    batch: int
    rows: int
    channels: int
    reads_time: bool
    forecast: bool

    def times(self) -> Tensor:
        return torch.linspace(0, 1, self.rows) if self.reads_time and self.batch < 1024 else torch.arange(self.rows) * 1.0


CASES = {
    "mujoco": Case(1024, 50, 14, False, True),
    "ucr_50": Case(128, 50, 7, True, False),
    "ucr_100": Case(128, 100, 7, True, False),
    "ucr_150": Case(128, 150, 7, True, False),
    "ucr_100_of_32": Case(32, 100, 7, True, False),
    "sepsis": Case(1024, 72, 69, True, False),
}


def our_step(case: Case, family: str, missing: float, fused: bool = True) -> Callable[[], None]:
    equation = EQUATIONS[family] if fused else type("Plain", (EQUATIONS[family],), {})  # no loop is known for a subclass
    fill, duration = "natural" if case.forecast else "hermite", float(case.times()[-1])
    observed = case.channels - case.reads_time
    reads = {"read_mask": False, "read_elapsed": False, "read_time": case.reads_time}
    model = LatentModel(
        ControlPath(observed, duration, fill, **reads),
        functools.partial(
            DrivenSDE,
            latent_size=SIZE,
            sde=functools.partial(equation, depth=DEPTH),
            solver=EulerMaruyama(),
            duration_s=duration,
        ),
        functools.partial(MLPDecoder, hidden_size=SIZE, activation="relu") if case.forecast else PublishedClassifier,
        functools.partial(Gaussian, target_dim=observed, noise_std=0.5**0.5, learn_noise=False)
        if case.forecast
        else functools.partial(Categorical, target_dim=1, n_classes=CLASSES),
    )
    values, times = torch.randn(case.batch, case.rows, observed), case.times()[None]
    seen = torch.rand_like(values) >= missing
    decoded = slice(-AHEAD if case.forecast else -1, None)
    targets = values[:, decoded] if case.forecast else torch.randint(CLASSES, (case.batch, 1, 1)).float()
    known, objective = torch.ones_like(targets, dtype=torch.bool), ELBO()

    def loss() -> Tensor:
        output = model(values * seen, seen, times, decoded=decoded)
        log_prob = model.likelihood.log_prob(output.parameter, targets)
        penalty = PENALTY * sum(p.norm() for p in model.dynamics.penalised())
        return objective(log_prob, output.kl, known, known, 1).total + penalty

    return step_of(loss, model)


def recipe_step(case: Case, family: str, tuned: bool = False) -> Callable[[], None]:
    recipe = StableRecipe(family, case.channels, SIZE, DEPTH)
    head = StableForecaster(SIZE, case.channels) if case.forecast else StableClassifier(SIZE, CLASSES)
    times, pieces = case.times(), torch.randn(case.batch, case.rows - 1, 4 * case.channels)
    targets = torch.randn(case.batch, AHEAD, case.channels) if case.forecast else torch.randint(CLASSES, (case.batch,))

    def loss() -> Tensor:
        predicted = head(recipe.states(times, pieces, tuned).transpose(0, 1))
        penalty = PENALTY * sum(p.norm() for p in recipe.parameters())
        return (nn.functional.mse_loss if case.forecast else nn.functional.cross_entropy)(predicted, targets) + penalty

    return step_of(loss, nn.ModuleList([recipe, head]))


def step_of(loss: Callable[[], Tensor], model: nn.Module) -> Callable[[], None]:
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, weight_decay=1e-5)

    def step() -> None:
        total = loss()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()

    return step


def limit_step(case: Case, family: str) -> Callable[[], None]:
    """A product per layer and step forward, two backward (of which the control needs one)."""
    states, controls = torch.randn(case.batch, SIZE), torch.randn(case.batch, case.channels)
    square, wide, out = torch.randn(SIZE, SIZE), torch.randn(case.channels, SIZE), torch.empty(case.batch, SIZE)
    to_square, to_wide = torch.empty_like(square), torch.empty_like(wide)

    def step() -> None:
        torch.randn(case.rows - 1, case.batch, SIZE)
        for _ in range(case.rows - 1):
            torch.mm(controls, wide, out=out)
            torch.mm(controls.t(), states, out=to_wide)
            for _ in range(DEPTH + 1):
                torch.mm(states, square, out=out)
                torch.mm(states, square, out=out)
                torch.mm(states.t(), states, out=to_square)

    return step


def lap(run: Callable[[], None]) -> tuple[float, float]:
    """Milliseconds of processor time and on the clock: medians of three calls in a row, as in a training loop."""
    calls = []
    for _ in range(3):
        clock, processor = time.perf_counter(), time.process_time()
        run()
        calls.append(((time.process_time() - processor) * 1e3, (time.perf_counter() - clock) * 1e3))
    return statistics.median(call[0] for call in calls), statistics.median(call[1] for call in calls)


def race(runs: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """`lap` by contestant and round, after a round to warm up."""
    laps: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for number, (name, run) in itertools.product(range(rounds + 1), runs.items()):
        found = lap(run)
        if number:
            laps[name].append(found)
    return laps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=["lnsde"])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1, help="of torch; with more than one, read clock_ratio")
    parser.add_argument("--missing", type=float, default=0.0, help="share of the values that ours has to fill in")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()  # as training does; for all contestants alike
    for name, family in itertools.product(options.cases, options.families):
        torch.manual_seed(0)
        case = CASES[name]
        runs = {
            "ours": our_step(case, family, options.missing),
            "recipe": recipe_step(case, family),
            "recipe_tuned": recipe_step(case, family, tuned=True),
            "torch_loop": without_kernels(our_step(case, family, options.missing)),
            "plain_loop": our_step(case, family, options.missing, fused=False),
            "limit": limit_step(case, family),
        }
        laps = race(runs, options.rounds)
        ours = laps.pop("ours")
        for peer, theirs in laps.items():
            ratio, clock = (statistics.median(b[k] / a[k] for a, b in zip(ours, theirs, strict=True)) for k in (0, 1))
            a, b = (statistics.median(lap[0] for lap in laps) for laps in (ours, theirs))
            line = {"case": name, "family": family, "size": f"{case.batch}x{case.rows}x{case.channels}", "peer": peer}
            line |= {"ours_cpu_ms": round(a, 1), "peer_cpu_ms": round(b, 1), "ratio": round(ratio, 2)}
            line |= {"clock_ratio": round(clock, 2), "rounds": options.rounds, "threads": options.threads}
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
