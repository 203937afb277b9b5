from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.errors import ConfigError
from neuralsde.inference.control import Control
from neuralsde.inference.gaussian_start import GaussianStart
from neuralsde.inference.path import Estimator, Evidence, LatentPath, gaussian_sample
from neuralsde.inference.scale import DiagonalScale, Scale
from neuralsde.inference.steering import Plan, divergence, steer
from neuralsde.noise import AbstractNoise, Brownian
from neuralsde.sde import AbstractSDE, NoiseType
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
        steer_forward: whether the control acts in forward bins too, and these are learned from; otherwise the prior alone goes
            on there.
        decode_coordinates: whether the decoder reads the unconstrained coordinates or the state.
        noise: what drives the equation; Brownian motion if None.

    Raises:
        ConfigError: solver, equation and control do not fit.

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
        noise: AbstractNoise | None = None,
    ):
        super().__init__(context_size, latent_size, duration_s, model_time, initial_log_var, substeps)
        if type(steer_forward) is not bool or type(decode_coordinates) is not bool:
            raise ConfigError(
                f"model.dynamics got steer_forward={steer_forward} and decode_coordinates={decode_coordinates}; give true or "
                "false."
            )
        self.sde = sde(state_size=latent_size)
        self.solver, self.noise, self.substeps = solver, noise or Brownian(), substeps
        solver.check(self.sde.prepared())
        if self.sde.in_seconds and model_time is not None:
            raise ConfigError(
                f"model.dynamics.model_time is {model_time}, but rates and longest step of {type(self.sde).__name__} are in "
                "seconds; set it to null."
            )
        noise_size = self.sde.noise_size(latent_size)
        self.control = control(context_size=context_size, state_size=latent_size, noise_size=noise_size)
        self.steer_forward = self.learns_forward = steer_forward
        self.decode_coordinates = decode_coordinates

    def forward(
        self,
        context: Float[Tensor, "batch bin context"],
        times: Float[Tensor, "#batch bin"],
        observed_bins: int,
        estimator: Estimator = Estimator.ANALYTIC,
        evidence: Evidence | None = None,
    ) -> LatentPath:
        sde, bins = self.sde.prepared(), context.shape[1] if self.steer_forward else observed_bins
        grid = time_grid(self.clock(times[:, :bins]), context[:, 0], self.substeps) if bins > 1 else None
        start, plan = self._condition(sde, context[:, :bins].transpose(0, 1), grid, evidence)
        y0, kl_initial = gaussian_sample(*start, self.prior_mean, self.prior_log_var, estimator)
        states, kl_path = sde.from_coordinates(y0)[None], torch.zeros_like(kl_initial)
        if grid is not None and plan is not None:
            states, kl_path = self._steer(sde, states[0], plan, grid, estimator)
        if bins < context.shape[1]:
            states = torch.cat([states, self._free(sde, states[-1], times[:, bins - 1 :])[1:]])
        return LatentPath(self._decoded(sde, states), {"kl_initial": kl_initial, "kl_path": kl_path}, states[-1])

    def from_prior(self, n: int, times: Float[Tensor, "#batch bin"]) -> Float[Tensor, "n bin latent"]:
        sde = self.sde.prepared()
        return self._decoded(sde, self._free(sde, sde.from_coordinates(self.prior_start(n)), times))

    def go_on(
        self, end: Float[Tensor, "batch state"], times: Float[Tensor, "#batch point"]
    ) -> Float[Tensor, "batch ahead latent"]:
        sde = self.sde.prepared()
        return self._decoded(sde, self._free(sde, end, times)[1:])

    def _free(self, sde: AbstractSDE, z0: Tensor, times: Tensor) -> Float[Tensor, "bin batch state"]:
        """The prior from `z0`."""
        if times.shape[1] == 1:
            return z0[None]
        return integrate(sde, self.solver, z0, self.clock(times), self.noise, self.substeps)

    def _condition(
        self, sde: AbstractSDE, context: Float[Tensor, "bin batch context"], grid: Tensor | None, evidence: Evidence | None
    ) -> tuple[tuple[Tensor, Scale], Plan | None]:
        """The start's posterior, and what steers the path over `grid`; no plan where there is but one bin."""
        start = self.posterior_start(context[0])
        if grid is None:
            return start, None
        dt, t = (part[:: self.substeps].to(context.dtype) for part in (grid.diff(dim=0), grid[:-1]))
        origin = sde.from_coordinates(context.new_zeros(1, 1, self.output_size))
        features = self.control.plan(context[1:], spread_of(sde, t, origin), dt)
        log_scale = self.control.log_scale(context[1:])
        scale = None if log_scale is None else DiagonalScale(log_scale.repeat_interleave(self.substeps, 0))
        return start, Plan(self.control, features, scale)

    def _steer(
        self, sde: AbstractSDE, z0: Tensor, plan: Plan, grid: Tensor, estimator: Estimator
    ) -> tuple[Float[Tensor, "bin batch state"], Float[Tensor, " batch"]]:
        """The posterior from `z0` over `grid`, and its divergence."""
        path = self.noise.increments(grid, (len(z0), sde.noise_size(z0.shape[1])), self.solver.levy_area, z0.dtype)
        steered = steer(sde, self.solver, plan, z0, grid.to(z0.dtype), path, estimator is Estimator.LANDING)
        return steered.states[:: self.substeps], divergence(steered, path, plan.scale, estimator).sum(0)

    def _decoded(self, sde: AbstractSDE, states: Float[Tensor, "bin batch state"]) -> Float[Tensor, "batch bin state"]:
        """What the decoder reads of the states."""
        return (sde.coordinates(states) if self.decode_coordinates else states).transpose(0, 1)


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
