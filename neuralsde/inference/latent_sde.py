from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.inference.control import Control
from neuralsde.inference.gaussian_start import GaussianStart
from neuralsde.inference.path import Estimator, Evidence, LatentPath, gaussian_sample
from neuralsde.inference.scale import DiagonalScale, Scale
from neuralsde.inference.steering import Plan, Solved, divergence, steer
from neuralsde.noise import AbstractNoise, Brownian, FixedPath, Increments, OUBank, run
from neuralsde.sde import AbstractSDE, NoiseType
from neuralsde.sde.convert import along
from neuralsde.solvers import AbstractSolver, integrate
from neuralsde.solvers.integrate import time_grid


class LatentSDE(GaussianStart):
    r"""Any equation as prior, $\mathrm dz = f\,\mathrm dt + g\,\mathrm dW$, and the same equation driven by
    $W + \int u(z, c)\,\mathrm dt$ as posterior; see `neuralsde.inference.control` for the divergence.

    The start's summary is the first bin's context; see `GaussianStart`.

    Args:
        context_size: channels of the encoder's context.
        latent_size: size of the state.
        sde: makes the equation from `state_size`.
        control: makes the control from `context_size`, `state_size` and `noise_size`.
        solver: the method; one that fits the equation.
        duration_s: how long a trial lasts, in seconds.
        model_time: how long it lasts for the equation, whose coefficients are of order one per unit; None for seconds.
        substeps: solver steps per bin.
        initial_log_var: offset of the initial posterior's log-variances, so that paths start out informative.
        steer_forward: whether the control acts in forward bins too; otherwise the prior alone goes on there.
        learn_forward: whether forward bins are learned from; None for `steer_forward`. True where the prior alone goes on: it
            learns to forecast.
        decode_coordinates: whether the decoder reads the unconstrained coordinates or the state.
        prior_std: standard deviation of the start under the prior, where learning begins, in the unconstrained coordinates.
        noise: makes what drives the equation from `size` and `horizon`; Brownian motion if None.

    Raises:
        ConfigError: solver, equation, noise and control do not fit.

    A noise that remembers brings its memory as further state (`neuralsde.noise.FractionalBrownian`): the control reads it, and
    where it has a past, that is inferred from the first bin's context too, beginning at its prior (`kl_memory`).

    Reference: Li, Wong, Chen, Duvenaud, *Scalable gradients for stochastic differential equations*, 2020, arXiv:2001.01328.
    """

    def __init__(
        self,
        context_size: int,
        latent_size: int,
        sde: Callable[..., AbstractSDE],
        control: Callable[..., Control],
        solver: AbstractSolver,
        duration_s: float,
        model_time: float | None = None,
        substeps: int = 1,
        initial_log_var: float = -2.0,
        steer_forward: bool = False,
        decode_coordinates: bool = False,
        prior_std: float = 1.0,
        noise: Callable[..., AbstractNoise] | None = None,
        learn_forward: bool | None = None,
    ):
        super().__init__(context_size, latent_size, duration_s, model_time, initial_log_var, substeps, prior_std)
        learn_forward = steer_forward if learn_forward is None else learn_forward
        if not all(type(choice) is bool for choice in (steer_forward, learn_forward, decode_coordinates)):
            raise ConfigError(
                f"model.dynamics got steer_forward={steer_forward}, learn_forward={learn_forward} and decode_coordinates="
                f"{decode_coordinates}; give true or false."
            )
        self.sde = sde(state_size=latent_size)
        sizes = {"size": self.sde.noise_size(latent_size), "horizon": duration_s * self.per_second}
        self.noise = Brownian() if noise is None else noise(**sizes)
        self.solver, self.substeps = solver, substeps
        solver.check(self.sde.prepared(), self.noise)
        if self.sde.in_seconds and model_time is not None:
            raise ConfigError(
                f"model.dynamics.model_time is {model_time}, but rates and longest step of {type(self.sde).__name__} are in "
                "seconds; set it to null."
            )
        self.control = control(context_size=context_size, **self.control_sizes())
        self.past = nn.Linear(context_size, 2 * self.noise.memory_size) if self.noise.has_past else None
        if self.past is not None:
            nn.init.zeros_(self.past.weight)
            nn.init.zeros_(self.past.bias)
        self.steer_forward, self.learns_forward = steer_forward, learn_forward
        self.decode_coordinates = decode_coordinates

    def learned(self) -> dict[str, Float[Tensor, " _"]]:
        return self.sde.learned() | self.noise.learned()

    def units(self) -> dict[str, str]:
        # Fractional noise grows with time to the Hurst index.
        grown = {} if self.noise.is_brownian else {"state/√time": "state/time^H"}
        return {name: grown.get(unit, unit) for name, unit in self.sde.units.items()}

    def equation(self) -> AbstractSDE:
        return self.sde.prepared()

    def drift(self, latents: Float[Tensor, "*batch latent"], t_s: float) -> Float[Tensor, "*batch latent"]:
        if not self.decode_coordinates:
            return super().drift(latents, t_s)
        sde, t = self.sde.prepared(), latents.new_tensor(t_s * self.per_second)
        z = sde.from_coordinates(latents)
        return along(sde.coordinates, z, sde.drift(t, z)) * self.per_second

    def control_sizes(self) -> dict[str, int]:
        """What the control is made from beside the context."""
        sizes = {"state_size": self.output_size, "noise_size": self.sde.noise_size(self.output_size)}
        return sizes | ({"memory_size": self.noise.memory_size} if self.noise.memory_size else {})

    def forward(
        self,
        context: Float[Tensor, "batch bin context"],
        times: Float[Tensor, "#batch bin"],
        observed_bins: int,
        estimator: Estimator = Estimator.ANALYTIC,
        evidence: Evidence | None = None,
        samples: int = 1,
    ) -> LatentPath:
        sde, bins = self.sde.prepared(), context.shape[1] if self.steer_forward else observed_bins
        grid = time_grid(self.clock(times[:, :bins]), context[:, 0], self.substeps) if bins > 1 else None
        bank = None if grid is None else self.noise.bank(grid, context.dtype)
        start, plan = self._condition(sde, context[:, :bins].transpose(0, 1), grid, bank, evidence, samples)
        z0, memory, kl = self._begin(sde, start, context[:, 0], estimator)
        states, kl_path = z0[None], torch.zeros_like(kl["kl_initial"])
        if grid is not None and plan is not None:
            states, memory, kl_path = self._steer(sde, z0, memory, plan, grid, bank, estimator)
        if bins < context.shape[1]:
            ahead, memory = self._free(sde, states[-1], memory, times[:, bins - 1 :])
            states = torch.cat([states, ahead[1:]])
        kl = {name: cost.to(context.dtype) for name, cost in (kl | {"kl_path": kl_path}).items()}
        return LatentPath(self._decoded(sde, states).to(context.dtype), kl, with_memory(states[-1], memory).to(context.dtype))

    def from_prior(self, n: int, times: Float[Tensor, "#batch bin"]) -> Float[Tensor, "n bin latent"]:
        sde, y0 = self.sde.prepared(), self.prior_start(n)
        memory = self.noise.fresh_memory((n,), y0)
        return self._decoded(sde, self._free(sde, sde.from_coordinates(y0), memory, times)[0])

    def go_on(
        self, end: Float[Tensor, "batch state"], times: Float[Tensor, "#batch point"]
    ) -> Float[Tensor, "batch ahead latent"]:
        sde, (z0, memory) = self.sde.prepared(), self._parted(end)
        return self._decoded(sde, self._free(sde, z0, memory, times)[0][1:])

    def _parted(self, end: Float[Tensor, "batch state"]) -> tuple[Tensor, Tensor | None]:
        """State and memory of what `with_memory` has put together."""
        z, memory = end[:, : self.output_size], end[:, self.output_size :]
        return z, memory.unflatten(1, self.noise.memory_shape) if self.noise.memory_size else None

    def _begin(
        self, sde: AbstractSDE, start: tuple[Tensor, Scale], summary: Tensor, estimator: Estimator
    ) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
        """State and memory at the first time, and the divergence of what is inferred of them, by name."""
        y0, kl_initial = gaussian_sample(*start, self.prior_mean, self.prior_log_var, estimator)
        z0, kl = sde.from_coordinates(y0), {"kl_initial": kl_initial}
        if self.past is None:
            return z0, self.noise.fresh_memory((len(summary),), summary), kl
        mean, log_var = self.past(summary).chunk(2, dim=1)
        standard = mean.new_zeros(mean.shape[1])
        whitened, kl["kl_memory"] = gaussian_sample(mean, DiagonalScale(log_var[None] / 2), standard, standard, estimator)
        return z0, self.noise.past(whitened.unflatten(1, self.noise.memory_shape)), kl

    def _draw(self, sde: AbstractSDE, z0: Tensor, grid: Tensor, bank: OUBank | None) -> tuple[Increments, Any]:
        """Brownian increments over `grid`, and the steps that make the noise from them."""
        return self.noise.drive(bank, grid, (len(z0), sde.noise_size(z0.shape[1])), self.solver.levy_area, z0.dtype)

    def _free(
        self, sde: AbstractSDE, z0: Tensor, memory: Tensor | None, times: Tensor
    ) -> tuple[Float[Tensor, "bin batch state"], Tensor | None]:
        """The prior from `z0`, and what its noise remembers at the end."""
        if times.shape[1] == 1:
            return z0[None], memory
        clock = self.clock(times)
        grid = time_grid(clock, z0, self.substeps)
        path, transitions = self._draw(sde, z0, grid, self.noise.bank(grid, z0.dtype))
        if transitions is not None:
            assert memory is not None
            path, memory = run(transitions, path, memory)
        return integrate(sde, self.solver, z0, clock, FixedPath(path), self.substeps), memory

    def _condition(
        self,
        sde: AbstractSDE,
        context: Float[Tensor, "bin batch context"],
        grid: Tensor | None,
        bank: OUBank | None,
        evidence: Evidence | None,
        samples: int = 1,
    ) -> tuple[tuple[Tensor, Scale], Plan | None]:
        """The start's posterior, and what steers the path over `grid`; no plan where there is but one bin."""
        start = self.posterior_start(context[0])
        if grid is None:
            return start, None
        dt, t = (part[:: self.substeps].to(context.dtype) for part in (grid.diff(dim=0), grid[:-1]))
        origin = sde.from_coordinates(context.new_zeros(1, 1, self.output_size))
        outlook = self.noise.outlook(grid, bank, self.substeps)
        features = self.control.plan(context[1:], spread_of(sde, t, origin), dt, outlook)
        log_scale = self.control.log_scale(context[1:])
        scale = None if log_scale is None else DiagonalScale(log_scale.repeat_interleave(self.substeps, 0))
        return start, Plan(self.control, features, scale)

    def _steer(
        self,
        sde: AbstractSDE,
        z0: Tensor,
        memory: Tensor | None,
        plan: Plan,
        grid: Tensor,
        bank: OUBank | None,
        estimator: Estimator,
    ) -> tuple[Float[Tensor, "bin batch state"], Tensor | None, Float[Tensor, " batch"]]:
        """The posterior from `z0` over `grid`, what its noise remembers at the end, and its divergence."""
        path, transitions = self._draw(sde, z0, grid, bank)
        mover = Solved(sde, self.solver, z0, grid.to(z0.dtype), transitions, memory)
        steered = steer(mover, plan, path, estimator is Estimator.LANDING)
        return steered.states[:: self.substeps], steered.memory, divergence(steered, path, plan.scale, estimator).sum(0)

    def _decoded(self, sde: AbstractSDE, states: Float[Tensor, "bin batch state"]) -> Float[Tensor, "batch bin state"]:
        """What the decoder reads of the states."""
        return (sde.coordinates(states) if self.decode_coordinates else states).transpose(0, 1)


def with_memory(z: Float[Tensor, "batch state"], memory: Tensor | None) -> Float[Tensor, "batch _"]:
    """State and memory as one, from where the prior can go on."""
    return z if memory is None else torch.cat([z, memory.flatten(1)], 1)


def spread_of(
    sde: AbstractSDE, t: Float[Tensor, "bin #batch 1"], origin: Float[Tensor, "1 1 state"]
) -> Float[Tensor, "bin #batch state"] | None:
    """The diagonal diffusion in unconstrained coordinates, at their origin; None where it is a matrix, or zero there.

    It is the diffusion everywhere for additive noise and for geometric noise, and of its order for `Neural`.
    """
    g = sde.diffusion(t, origin.expand(len(t), t.shape[1], -1))
    if g.ndim > t.ndim or (sde.noise is NoiseType.DIAGONAL and not g.detach().all()):
        return None
    return g
