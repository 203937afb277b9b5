"""States of a stochastic differential equation."""

import math
from collections.abc import Sequence
from itertools import pairwise
from numbers import Real

import numpy as np
import torch
from torch import Tensor

from neuralsde.datamodules.lorenz import above_zero, at_least
from neuralsde.datamodules.simulated.system import AbstractSystem
from neuralsde.errors import ConfigError
from neuralsde.noise import Brownian
from neuralsde.sde import AbstractSDE
from neuralsde.solvers import AbstractSolver, integrate


class Stochastic(AbstractSystem):
    r"""Solutions of $dz = f(t, z)\,dt + g(t, z)\,dW$ in double precision, from $z_0 \sim N(m, \mathrm{diag}(s^2))$.

    Time 0 of a trial is time 0 of the equation; a burn-in runs before it, from $-$`burn_in_s`.

    Args:
        sde: the equation; its unit of time is the second.
        solver: the method; its facts must fit the equation's.
        start_mean: $m$, one number per state; their number is the size of the state.
        start_std: $s$, one number for all states, or one per state.
        substeps: equal steps of the method between neighbouring times.
        burn_in_s: time in which the start is forgotten, in seconds, in steps of about the same length; 0 for none.

    Raises:
        ConfigError: solver and equation do not fit, the equation has another number of states, or a setting is
            impossible.
    """

    def __init__(
        self,
        sde: AbstractSDE,
        solver: AbstractSolver,
        start_mean: Sequence[float],
        start_std: float | Sequence[float] = 1.0,
        substeps: int = 100,
        burn_in_s: float = 0.0,
    ):
        self.start_mean = finite_numbers("system.start_mean", start_mean)
        self.n_states, self.name = len(self.start_mean), type(sde).__name__
        stds = start_std if isinstance(start_std, Sequence) else [start_std] * self.n_states
        self.start_std = finite_numbers("system.start_std", stds, least=0.0)
        if len(self.start_std) != self.n_states:
            raise ConfigError(
                f"data.system.start_std has {len(self.start_std)} numbers, but data.system.start_mean has {self.n_states}; "
                "give one number, or one per state."
            )
        at_least("system.substeps", substeps, 1)
        if burn_in_s != 0:
            above_zero("system.burn_in_s", burn_in_s)
        solver.check(sde)
        self.sde, self.solver, self.substeps, self.burn_in_s = sde.double(), solver, substeps, burn_in_s
        self.try_sizes()

    @torch.no_grad()
    def try_sizes(self) -> None:
        """Raises:
        ConfigError: drift or diffusion refuse a state of this size.
        """
        z, t = torch.from_numpy(self.start_mean)[None], torch.zeros((), dtype=torch.float64)
        try:
            sizes = self.sde.drift(t, z).shape, self.sde.diffusion(t, z).shape[: z.ndim]
        except Exception as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(
                f"data.system.start_mean has {self.n_states} numbers, but {self.name} takes no such state ({reason}); "
                "give one number per state."
            ) from error
        if any(size != z.shape for size in sizes):
            raise ConfigError(
                f"data.system.start_mean has {self.n_states} numbers, but {self.name} answers with shapes "
                f"{tuple(sizes[0])[1:]} and {tuple(sizes[1])[1:]}; give one number per state."
            )

    @torch.no_grad()
    def states(self, rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
        """See the base class; the noise is drawn from one time to the next, so that long trials need no more memory."""
        z = torch.from_numpy(rng.normal(self.start_mean, self.start_std, (len(times), self.n_states)))
        noise = Brownian(torch.Generator().manual_seed(int(rng.integers(2**62))))
        if self.burn_in_s:
            spacing = times[:, -1].max() / (times.shape[1] - 1)
            before = torch.linspace(-self.burn_in_s, 0, math.ceil(self.burn_in_s / spacing) + 1, dtype=torch.float64)
            z = self.path(z, before.expand(len(times), -1), noise)[-1]
        return torch.stack(self.path(z, torch.from_numpy(times), noise), dim=1).numpy()

    def path(self, z: Tensor, times: Tensor, noise: Brownian) -> list[Tensor]:
        """States (trial, state) at each of `times` (trial, time), from `z` at the first."""
        path, steps = [z], times.T[..., None]  # (time, trial, 1)
        for stretch in pairwise(steps):
            path.append(integrate(self.sde, self.solver, path[-1], torch.stack(stretch), noise, self.substeps)[-1])
        return path


def finite_numbers(name: str, values: Sequence[float], least: float = -math.inf) -> np.ndarray:
    """`values` in float64.

    Raises:
        ConfigError: there are none, or one is no finite number, or below `least`.
    """
    values = list(values)
    if not values or not all(isinstance(v, Real) and math.isfinite(v) and v >= least for v in values):
        bound = "" if least == -math.inf else f" of at least {least:g}"
        raise ConfigError(f"data.{name} is {values}; give one finite number{bound} per state.")
    return np.array(values, np.float64)
