"""Splittings of underdamped Langevin dynamics into kicks B, drifts A and exact Ornstein–Uhlenbeck steps O."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.noise import Increments, LevyArea
from neuralsde.sde import Time, UnderdampedLangevin
from neuralsde.solvers.base import orders
from neuralsde.solvers.langevin_base import AbstractLangevinSolver, Triple


def thermostat(
    sde: UnderdampedLangevin,
    t: Time,
    dt: Float[Tensor, "*#batch #d"],
    x: Float[Tensor, "*batch d"],
    v: Float[Tensor, "*batch d"],
    w: Float[Tensor, "*batch d"],
) -> Float[Tensor, "*batch d"]:
    r"""The step O: $v \gets c v + \frac{1 - c}\gamma \rho u + \sqrt{\frac Tm (1 - c^2) / h}\,W$, $c = e^{-\gamma h}$.

    A control $u$ of the equation enters here and nowhere else: where the noise is, so that the chain stays absolutely
    continuous to its prior, with the KL per step $\frac12 |u|^2 h \tanh(\gamma h / 2) / (\gamma h / 2)$.
    """
    decay, spread, push = sde.thermostat(dt, v.dtype)
    moved = torch.addcmul(decay * v, spread, w)
    u = sde.control(t, torch.cat([x, v], -1)) if sde.is_controlled else None
    return moved if u is None else moved + push * u


class BAOAB(AbstractLangevinSolver):
    r"""Half kick, half drift, thermostat, half drift, half kick, with one new force per step.

    B: $v \gets v - \frac h2 G(x)$ with $G = \nabla F / m$; A: $x \gets x + \frac h2 v$; O: `thermostat`.
    Strong order 1, weak order 2; positions of a quadratic potential are sampled without bias.

    Reference: Leimkuhler & Matthews, "Rational construction of stochastic numerical methods for molecular sampling",
    arXiv 1203.5428.
    """

    strong_order = orders(additive=1.0)

    def step(self, sde: UnderdampedLangevin, t: Time, state: Triple, path: Increments) -> Triple:
        x, v, force = state
        h, half = path.dt, path.dt / 2
        v = torch.addcmul(v, half, force, value=-1)
        x = torch.addcmul(x, half, v)
        v = thermostat(sde, t + half, h, x, v, path.w)
        x = torch.addcmul(x, half, v)
        force = sde.force_field(x)
        return x, torch.addcmul(v, half, force, value=-1), force


class OBABO(AbstractLangevinSolver):
    r"""Half thermostat, half kick, drift, half kick, half thermostat, with one new force per step.

    The thermostats of half a step read $\frac12 W \pm \sqrt 3 H$, which have the joint law of the increments of the two
    halves of the path and add up to $W$. Strong order 1, weak order 2.

    Reference: Bussi & Parrinello, "Accurate sampling using Langevin dynamics", arXiv 0803.4083.
    """

    strong_order = orders(additive=1.0)
    levy_area = LevyArea.SPACE_TIME

    def step(self, sde: UnderdampedLangevin, t: Time, state: Triple, path: Increments) -> Triple:
        x, v, force = state
        h, half = path.dt, path.dt / 2
        early, late = path.w / 2 + math.sqrt(3) * path.h, path.w / 2 - math.sqrt(3) * path.h
        v = thermostat(sde, t, half, x, v, early) - half * force
        x = x + h * v
        force = sde.force_field(x)
        v = thermostat(sde, t + half, half, x, v - half * force, late)
        return x, v, force
