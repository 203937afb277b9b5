"""Equations and the measurement of convergence that the solver tests share."""

import numpy as np
import torch

from neuralsde.noise import Brownian, FixedPath, LevyArea
from neuralsde.sde import AbstractSDE, Calculus, NoiseType
from neuralsde.solvers import integrate

DOUBLE = torch.float64


def mlp(inputs, outputs, seed):
    generator = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(s, generator=generator, dtype=DOUBLE) / s[0] ** 0.5 for s in ((inputs, 8), (8, outputs)))
    return lambda x: torch.tanh(torch.nn.functional.silu(x @ first) @ second)


class NetSDE(AbstractSDE):
    """Drift a small net, diffusion a small net of the wanted noise type, both smooth, d = 3."""

    calculus = Calculus.STRATONOVICH

    def __init__(self, noise, m=3):
        super().__init__()
        self.noise, self.m = noise, m
        self.f, self.g = mlp(4, 3, 0), mlp(4, 3 * m, 1)

    def inputs(self, t, z):
        return torch.cat([t.expand(*z.shape[:-1], 1), z], -1)

    def drift(self, t, z):
        return 2 * self.f(2 * self.inputs(t, z))

    def diffusion(self, t, z):
        if self.noise is NoiseType.ADDITIVE:  # a matrix that moves with time
            entries = torch.linspace(0.2, 1.0, 3 * self.m, dtype=z.dtype).view(3, self.m)
            return (entries * torch.cos(t.unsqueeze(-1) / 2 + entries)).expand(*z.shape[:-1], 3, self.m)
        if self.noise is NoiseType.DIAGONAL:
            return 0.5 + torch.sin(z + t) / 2
        return self.g(self.inputs(t, z)).unflatten(-1, (3, self.m)) / 2

    def noise_size(self, state_size):
        return 3 if self.noise is NoiseType.DIAGONAL else self.m


def draw(steps, shape, area=LevyArea.SPACE_TIME_TIME, horizon=1.0, seed=0):
    times = torch.linspace(0, horizon, steps + 1, dtype=DOUBLE).view(-1, *[1] * len(shape))
    return Brownian(torch.Generator().manual_seed(seed)).increments(times, shape, area)


def solve(sde, solver, z0, path, steps, horizon=1.0):
    """The last value in `steps` steps on the path, coarsened to them."""
    coarse = FixedPath(path.coarsen(len(path) // steps))
    return integrate(sde, solver, z0, torch.tensor([0.0, horizon], dtype=DOUBLE), coarse, substeps=steps)[-1]


def rms(x):
    return x.square().sum(-1).mean().sqrt().item()


def slope(steps, errors):
    return -np.polyfit(np.log(steps), np.log(errors), 1)[0]


def measured_order(sde, solver, z0, levels, horizon=1.0, seed=0, reference=None):
    """Slope of the RMS error at the last time, against `reference` (the solver itself) two levels finer."""
    path = draw(4 * 2 ** max(levels), (len(z0), sde.noise_size(z0.shape[-1])), horizon=horizon, seed=seed)
    truth = solve(sde, reference or solver, z0, path, len(path), horizon)
    steps = [2**level for level in levels]
    errors = [rms(solve(sde, solver, z0, path, n, horizon) - truth) for n in steps]
    return slope(steps, errors), errors
