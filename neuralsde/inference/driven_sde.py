from collections.abc import Callable, Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.inference.path import Estimator, Evidence, LatentPath, LatentProcess, check_sizes
from neuralsde.inference.without_prior import WithoutPrior
from neuralsde.nn.stretches import stretch_bounds, stretch_means, stretch_of
from neuralsde.noise import AbstractNoise, Brownian, FixedPath, run
from neuralsde.sde import AbstractDriven, Time
from neuralsde.solvers import AbstractSolver, integrate
from neuralsde.solvers.integrate import time_grid


class HeldPath:
    """A control path that keeps each bin's value until the next bin.

    Args:
        clock: time of each bin, (bin, #batch, 1), increasing.
        values: (bin, batch, control).
    """

    def __init__(self, clock: Float[Tensor, "bin #batch 1"], values: Float[Tensor, "bin batch control"]):
        self.clock, self.rows, self.values = clock, clock[..., 0].t().contiguous(), values
        self.each = values.unbind()  # whose gradients meet once: one out of all bins has a gradient as large as all of them

    def __call__(self, t: Time) -> Float[Tensor, "*batch control"]:
        last = len(self.values) - 1
        if len(self.rows) == 1 or t.ndim == 0:
            asked = t if t.ndim == 0 else t[..., 0, 0]
            found = (torch.searchsorted(self.rows[0], asked, right=True) - 1).clamp(0, last)
            if found.ndim == 0:
                return self.each[int(found)]
            if found.ndim == 1 and len(found) and bool((found.diff() == 1).all()):  # a step for each bin
                return self.values[int(found[0]) :][: len(found)]
            return self.values[found]
        lead = t.shape[:-2]
        asked = t[..., 0].reshape(-1, t.shape[-2]).expand(-1, len(self.rows))
        bins = (torch.searchsorted(self.rows, asked.t().contiguous(), right=True) - 1).clamp(0, last).t()
        if not lead and bool((bins == bins[:, :1]).all()):
            return self.each[int(bins[0, 0])]
        return self.values.take_along_dim(bins[..., None], 0).view(*lead, *self.values.shape[1:])

    def through(self, net: Callable[[Tensor], Tensor]) -> "HeldPath":
        """The path of what `net` makes of the values."""
        return HeldPath(self.clock, net(self.values))


class DrivenSDE(WithoutPrior, LatentProcess):
    r"""A stable neural SDE along a control path, $\mathrm dz = f(t, z, X(t))\,\mathrm dt + g(t, z)\,\mathrm dW$, from
    $z_0 = \mathrm{Linear}(X(t_0))$.

    The encoder's context is the path $X$, kept from each bin to the next. There is no prior, and so no divergence: the model is
    learned by the likelihood of what it predicts from paths of its own noise (with `objective.samples` above 1, of their
    mixture), for classes, hidden values or forecasts. Beyond the data the equation runs on along the last value of $X$.

    Args:
        context_size: channels of the encoder's context.
        latent_size: size of the state.
        sde: makes the equation from `state_size` and `control_size`.
        solver: the method; one that fits the equation.
        duration_s: how long a trial lasts, in the data's unit of time.
        model_time: how long it lasts for the equation; None for the data's own unit.
        substeps: solver steps per bin.
        most_steps: stretches of neighbouring bins, at most, that the equation is solved on: along the mean of the path in each,
            its states in between on straight lines. None solves from bin to bin.
        noise: makes what drives the equation from `size` and `horizon`; Brownian motion if None.

    Raises:
        ConfigError: solver, equation and noise do not fit, or a setting is impossible.

    Reference: Oh, Lim, Kim, *Stable neural SDEs in analyzing irregular time series data*, 2024, arXiv:2402.14989.
    """

    def __init__(
        self,
        context_size: int,
        latent_size: int,
        sde: Callable[..., AbstractDriven],
        solver: AbstractSolver,
        duration_s: float,
        model_time: float | None = None,
        substeps: int = 1,
        most_steps: int | None = None,
        noise: Callable[..., AbstractNoise] | None = None,
    ):
        super().__init__()
        check_sizes(latent_size, substeps, model_time, 0.0, 1.0)
        if most_steps is not None and (type(most_steps) is not int or most_steps < 1):
            raise ConfigError(f"model.dynamics.most_steps is {most_steps}; give a whole number of at least 1, or null.")
        self.most_steps = most_steps
        self.per_second = 1.0 if model_time is None else model_time / duration_s
        self.sde = sde(state_size=latent_size, control_size=context_size)
        size = self.sde.noise_size(latent_size)
        self.noise = Brownian() if noise is None else noise(size=size, horizon=duration_s * self.per_second)
        self.solver, self.substeps, self.output_size, self.context_size = solver, substeps, latent_size, context_size
        solver.check(self.sde.prepared(), self.noise)
        self.start = nn.Linear(context_size, latent_size)

    def learned(self) -> dict[str, Float[Tensor, " _"]]:
        return self.sde.learned() | self.noise.learned()

    def penalised(self) -> Iterable[nn.Parameter]:
        """Those of the equation, as the published code: its start is no part of the vector field."""
        return self.sde.parameters()

    def forward(
        self,
        context: Float[Tensor, "batch bin context"],
        times: Float[Tensor, "#batch bin"],
        observed_bins: int,
        estimator: Estimator = Estimator.ANALYTIC,
        evidence: Evidence | None = None,
        samples: int = 1,
    ) -> LatentPath:
        z0 = self.sde.prepared().from_coordinates(self.start(context[:, 0]))
        if self.most_steps is None or context.shape[1] == 1:
            states = self._along(context.transpose(0, 1), z0, times)
        else:
            states = self._along_stretches(context, z0, times, self.most_steps)
        return LatentPath(states.transpose(0, 1), {}, torch.cat([states[-1], context[:, -1]], 1))

    def go_on(
        self, end: Float[Tensor, "batch state"], times: Float[Tensor, "#batch point"]
    ) -> Float[Tensor, "batch ahead latent"]:
        z0, context = end[:, : self.output_size], end[:, self.output_size :]
        return self._along(context.expand(times.shape[1], -1, -1), z0, times)[1:].transpose(0, 1)

    def _along_stretches(
        self,
        context: Float[Tensor, "batch bin context"],
        z0: Float[Tensor, "batch state"],
        times: Float[Tensor, "#batch bin"],
        most: int,
    ) -> Float[Tensor, "bin batch state"]:
        """The same, solved on stretches of bins."""
        bounds = stretch_bounds(times.shape[1], most).to(times.device)
        means, ends = stretch_means(context, times.expand(len(context), -1), bounds), times[:, bounds]
        states = self._along(torch.cat([means, context[:, -1:]], 1).transpose(0, 1), z0, ends)
        where = stretch_of(bounds, times.shape[1])
        begin = ends[:, where]
        share = ((times - begin) / (ends[:, where + 1] - begin)).t()[..., None].to(states.dtype)
        return torch.lerp(states[where], states[where + 1], share)

    def _along(
        self, context: Float[Tensor, "bin batch context"], z0: Float[Tensor, "batch state"], times: Float[Tensor, "#batch bin"]
    ) -> Float[Tensor, "bin batch state"]:
        """The path from `z0` at the times, driven by the context."""
        if times.shape[1] == 1:
            return z0[None]
        if (times == times[:1]).all():
            times = times[:1]  # fused loops want times that are shared
        clock = times.t()[..., None] * self.per_second
        grid = time_grid(clock, z0, self.substeps)
        shape = (len(z0), self.sde.noise_size(z0.shape[1]))
        path, transitions = self.noise.drive(self.noise.bank(grid, z0.dtype), grid, shape, self.solver.levy_area, z0.dtype)
        if transitions is not None:
            memory = self.noise.fresh_memory((len(z0),), z0)
            assert memory is not None
            path, memory = run(transitions, path, memory)
        driven = self.sde.driven_by(HeldPath(clock, context)).prepared()
        return integrate(driven, self.solver, z0, clock, FixedPath(path), self.substeps)
