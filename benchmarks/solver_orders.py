"""Measured strong orders: `python -m benchmarks.solver_orders [--figure docs/figures/solver_orders.png]`.

For each kind of noise, the root mean square error at time one over 500 coupled paths against the method itself with
four times as many steps as the finest shown. Prints one JSON object per method and kind of noise, and draws all.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

from neuralsde.noise import Brownian, FixedPath, Increments, LevyArea
from neuralsde.sde import AbstractSDE, Calculus, ItoForm, NoiseType, UnderdampedLangevin
from neuralsde.solvers import (
    ALIGN,
    BAOAB,
    OBABO,
    QUICSORT,
    SEA,
    SRA1,
    AbstractSolver,
    EulerMaruyama,
    GeneralShARK,
    Heun,
    Milstein,
    ReversibleHeun,
    ShARK,
    ShOULD,
    SlowRK,
    SPaRK,
    integrate,
)

mpl.use("Agg")
PATHS, LEVELS, DOUBLE = 500, range(3, 9), torch.float64
GENERAL = [EulerMaruyama, Heun, ReversibleHeun, GeneralShARK, SPaRK, SlowRK]


class Oscillator(AbstractSDE):
    """A nonlinear oscillator in two dimensions with noise of the wanted type."""

    calculus = Calculus.STRATONOVICH

    def __init__(self, noise: NoiseType):
        super().__init__()
        self.noise = noise

    def drift(self, t: Tensor, z: Tensor) -> Tensor:
        x, y = z.unbind(-1)
        return torch.stack([torch.sin(2 * y), -torch.sin(3 * x) - y / 2], -1)

    def diffusion(self, t: Tensor, z: Tensor) -> Tensor:
        if self.noise is NoiseType.ADDITIVE:
            return 1.5 * torch.cos(t / 2) * torch.ones_like(z)
        if self.noise is NoiseType.DIAGONAL:
            return 0.8 + 0.6 * torch.sin(z)
        x, y = z.unbind(-1)
        return torch.stack([torch.stack([torch.cos(y), x / 2], -1), torch.stack([torch.sin(x), 1 + y / 4], -1)], -2)


def bistable(x: Tensor) -> Tensor:
    return (x**4 / 4 - x**2).sum(-1)


PANELS: dict[str, tuple[AbstractSDE, list[type[AbstractSolver]]]] = {
    "additive noise": (Oscillator(NoiseType.ADDITIVE), [EulerMaruyama, Heun, SEA, SRA1, ShARK, SPaRK]),
    "diagonal noise": (Oscillator(NoiseType.DIAGONAL), [*GENERAL, Milstein]),
    "general noise": (Oscillator(NoiseType.GENERAL), GENERAL),
    "underdamped Langevin": (UnderdampedLangevin(bistable, friction=1.3), [BAOAB, OBABO, ALIGN, ShOULD, QUICSORT]),
}


def last(sde: AbstractSDE, solver: AbstractSolver, path: Increments, steps: int) -> Tensor:
    z0 = torch.full((PATHS, 2), 0.5, dtype=DOUBLE)
    coarse = FixedPath(path.coarsen(len(path) // steps))
    return integrate(sde, solver, z0, torch.tensor([0.0, 1.0], dtype=DOUBLE), coarse, substeps=steps)[-1]


def errors(sde: AbstractSDE, method: Callable[[], AbstractSolver]) -> list[float]:
    solver, finest = method(), 4 * 2 ** max(LEVELS)
    if solver.calculus is Calculus.ITO and sde.noise is not NoiseType.ADDITIVE:
        sde = ItoForm(sde)
    times = torch.linspace(0, 1, finest + 1, dtype=DOUBLE).view(-1, 1, 1)
    generator = torch.Generator().manual_seed(0)
    path = Brownian(generator).increments(times, (PATHS, sde.noise_size(2)), LevyArea.SPACE_TIME_TIME)
    truth = last(sde, solver, path, finest)
    return [(last(sde, solver, path, 2**n) - truth).square().sum(-1).mean().sqrt().item() for n in LEVELS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    steps = np.array([2**n for n in LEVELS])
    figure, axes = plt.subplots(1, 4, figsize=(14, 4.2), layout="constrained")
    for axis, (panel, (sde, methods)) in zip(axes, PANELS.items(), strict=True):
        for number, method in enumerate(methods):
            found = errors(sde, method)
            slope = -np.polyfit(np.log(steps), np.log(found), 1)[0]
            line = {"noise": panel, "method": method.__name__, "order": method.strong_order[sde.noise]}
            print(json.dumps(line | {"measured": round(slope, 2), "error_finest": float(f"{found[-1]:.2g}")}), flush=True)
            style = {"marker": "osD^vPX"[number], "markersize": 4, "linewidth": 1.2}
            axis.loglog(1 / steps, found, label=f"{method.__name__} {slope:.2f}", **style)
        axis.set(title=panel, xlabel="step length")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7.5, title="measured slope", title_fontsize=7.5)
    axes[0].set_ylabel("RMS error at time one")
    if arguments.figure:
        arguments.figure.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(arguments.figure, dpi=110)


if __name__ == "__main__":
    main()
