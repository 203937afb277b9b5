"""What a latent process hands on, and how it estimates what its path cost."""

import enum
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.inference.scale import DiagonalScale, Scale
from neuralsde.nn.local_context import Context
from neuralsde.noise import AbstractNoise
from neuralsde.sde import AbstractSDE
from neuralsde.shares import normals


class Estimator(enum.Enum):
    r"""How a divergence $\mathrm{KL}(q \| p)$ is estimated from one path; all have the same mean and gradient."""

    ANALYTIC = "analytic"  # what can be integrated in closed form is: the divergences of each step's Gaussians
    SAMPLED = "sampled"  # log q - log p of the sample itself, which importance weights need
    LANDING = "landing"  # the same, q's parameters in its density held fixed: no variance where q is the posterior


class Bound(enum.Enum):
    """Which process a bound that is learned without simulating is of."""

    CONTINUOUS = "continuous"  # the equation's own, in continuous time
    DISCRETE = "discrete"  # the solver's steps; see `SDEMatching` for which


@dataclass(frozen=True)
class Matching:
    """What is drawn at random to learn without simulating.

    Args:
        points: times (or steps) of each trial at which the path's divergence is evaluated.
        observations: bins of each trial whose observations are explained; None for all.
        bound: what the divergence is of.
        part_bins: about how many bins the part of each trial has that all of these are drawn from; None for the whole trial.
    """

    points: int
    observations: int | None
    bound: Bound
    part_bins: int | None = None


@dataclass(frozen=True)
class Match:
    """States of the posterior in some bins, each from its marginal there; no path goes through them.

    Args:
        states: what the decoder reads, (batch, point, latent).
        bins: the bins, (batch, point).
        kl: unbiased estimates of the path's divergence from the prior in nats, term by name, each (batch,).
    """

    states: Tensor
    bins: Tensor
    kl: dict[str, Tensor]


class Evidence(NamedTuple):
    r"""The log-likelihood of a trial's observations as a quadratic of its path,
    $\sum_n -\frac12 z_n^\top J_n z_n + j_n^\top z_n$.

    Args:
        precision: $J$, (bin, batch, state, state), or (bin, 1, state, state) where it is the same for all trials.
        information: $j$, (bin, batch, state).
    """

    precision: Tensor
    information: Tensor


@dataclass(frozen=True)
class LatentPath:
    """A sample of the posterior path.

    Args:
        states: what the decoder reads, (batch, bin, latent).
        kl: divergence of the posterior from the prior in nats, as estimated from this path, term by name, each (batch,).
        end: the process's own state at the last bin, from where the prior can go on, (batch, state).
    """

    states: Tensor
    kl: dict[str, Tensor] = field(default_factory=dict)
    end: Tensor | None = None


class LatentProcess(nn.Module, ABC):
    """A prior over paths and its amortised posterior. Class facts: `estimators`, what it can estimate its
    divergence by; `wants_evidence`, whether it reads the observations' own likelihood beside the context; `matches`, whether it
    can be learned without simulating. `learns_forward` says whether forward bins are to be learned from: by default not where
    the prior alone runs there, of which one path explains little; `per_second` is how many units of the equation's time make a
    second."""

    wants_evidence: ClassVar[bool] = False
    matches: ClassVar[bool] = False
    estimators: ClassVar[frozenset[Estimator]] = frozenset(Estimator)
    output_size: int
    learns_forward: bool = True
    per_second: float = 1.0

    @abstractmethod
    def forward(
        self,
        context: Float[Tensor, "batch bin context"],
        times: Float[Tensor, "#batch bin"],
        observed_bins: int,
        estimator: Estimator = Estimator.ANALYTIC,
        evidence: Evidence | None = None,
        samples: int = 1,
    ) -> LatentPath:
        """A path of the posterior.

        Args:
            context: what the encoder made of the observations.
            times: in seconds, increasing.
            observed_bins: bins, from the first, in which something may have been observed.
            estimator: how the divergences are estimated.
            evidence: what the observations say of the path, for a process that `wants_evidence`; of each trial once where the
                context holds several samples of all trials.
            samples: how many times the context holds all trials, one after the other.
        """

    def penalised(self) -> Iterable[nn.Parameter]:
        """The parameters whose norms `training.norm_penalty` weighs."""
        return self.parameters()

    def match(
        self,
        context: Context,
        times: Float[Tensor, "#batch bin"],
        observed_bins: int,
        matching: Matching,
    ) -> Match:
        """States of the posterior at some times, and its divergence from the prior, without simulating a path.

        Raises:
            ConfigError: the process has no posterior that is given by its marginals.
        """
        raise ConfigError(
            f"model.dynamics {type(self).__name__} can only be simulated, and objective=sde_matching does not simulate: choose "
            "objective=elbo, or other model/dynamics."
        )

    def matched_bins(self, bins: int, observed_bins: int) -> int:
        """Bins, from the first, that `match` draws from."""
        return bins if self.learns_forward else observed_bins

    @property
    def reach(self) -> int | None:
        """Bins of context to either side of a time that the posterior then depends on, for `match`; None for all."""
        return None

    def learned(self) -> dict[str, Float[Tensor, " _"]]:
        """What it has learned that has a name in the field; logged in each epoch."""
        return {}

    def units(self) -> dict[str, str]:
        """Units of what it has learned, by name, where there is one; a `time` in them is the equation's, see `per_second`."""
        return {}

    def equation(self) -> AbstractSDE:
        """The prior's equation.

        Raises:
            ConfigError: the process is a recursion from bin to bin.
        """
        raise ConfigError(
            f"model.dynamics {type(self).__name__} steps from bin to bin and has no drift to analyse: train with another "
            "model/dynamics, such as underdamped_langevin or langevin_type."
        )

    def drift(self, latents: Float[Tensor, "*batch latent"], t_s: float) -> Float[Tensor, "*batch latent"]:
        """Rate of change of what the decoder reads under the prior without its noise, per second, `t_s` seconds into a trial.

        Raises:
            ConfigError: the process is a recursion from bin to bin.
        """
        return self.equation().drift(latents.new_tensor(t_s * self.per_second), latents) * self.per_second

    @abstractmethod
    def from_prior(self, n: int, times: Float[Tensor, "#batch bin"]) -> Float[Tensor, "n bin latent"]:
        """Paths of the prior, as the decoder reads them."""

    @abstractmethod
    def go_on(
        self, end: Float[Tensor, "batch state"], times: Float[Tensor, "#batch point"]
    ) -> Float[Tensor, "batch ahead latent"]:
        """The prior's path from the state `end` at the first of `times` through the others, as the decoder reads it."""


def refuse_memory(noise: Callable[..., AbstractNoise] | None, process: str) -> None:
    """For a process that no noise of choice drives.

    Raises:
        ConfigError: a noise other than Brownian motion is chosen.
    """
    if noise is not None and not (made := noise(size=1, horizon=1.0)).is_brownian:
        raise ConfigError(
            f"model.noise is {type(made).__name__}, but model.dynamics {process} is not driven by a noise of choice: set "
            "model/noise=brownian, or choose other model/dynamics."
        )


def check_sizes(latent_size: Any, substeps: Any, model_time: Any, initial_log_var: Any, prior_std: Any) -> None:
    """Raises:
    ConfigError: a size is no whole number of at least 1, or a time or a log-variance is no finite number.
    """
    for name, value in (("latent_size", latent_size), ("substeps", substeps)):
        if type(value) is not int or value < 1:
            raise ConfigError(f"model.dynamics.{name} is {value}; give a whole number of at least 1.")
    if model_time is not None and not (is_number(model_time) and 0 < model_time < math.inf):
        raise ConfigError(f"model.dynamics.model_time is {model_time}; give a positive number, or null for seconds.")
    if not (is_number(initial_log_var) and math.isfinite(initial_log_var)):
        raise ConfigError(f"model.dynamics.initial_log_var is {initial_log_var}; give a finite number, such as -2.0.")
    if not (is_number(prior_std) and 0 < prior_std < math.inf):
        raise ConfigError(f"model.dynamics.prior_std is {prior_std}; give a positive number, such as 1.0.")


def is_number(value: Any) -> bool:
    """Whether `value` is a number, truth values apart."""
    return isinstance(value, int | float) and type(value) is not bool


def gaussian_sample(
    mean: Float[Tensor, "batch state"],
    scale: Scale,
    prior_mean: Float[Tensor, " state"],
    prior_log_var: Float[Tensor, " state"],
    estimator: Estimator,
) -> tuple[Float[Tensor, "batch state"], Float[Tensor, " batch"]]:
    r"""A sample of $q = \mathcal N(m, S S^\top)$ and its divergence from the prior $\mathcal N(m_0, e^{l_0})$."""
    noise = normals(mean.shape, mean)[None]
    sample = mean + scale.apply(noise)[0]
    # In the prior's units the divergence is that from a standard normal.
    half = prior_log_var / 2
    away, volume = (sample - prior_mean) * torch.exp(-half), half.sum()
    if estimator is Estimator.ANALYTIC:
        centre = (mean - prior_mean) * torch.exp(-half)
        kl = 0.5 * (centre.square().sum(1) + scale.square_over(half)[0]) - scale.log_det()[0] + volume
        return sample, kl
    if estimator is Estimator.LANDING:
        scale = scale.detached()
        noise = scale.solve((sample - mean.detach())[None])
    return sample, 0.5 * (away.square() - noise[0].square()).sum(1) - scale.log_det()[0] + volume


def sample_standard(
    mean: Float[Tensor, "batch state"], log_var: Float[Tensor, "batch state"]
) -> tuple[Float[Tensor, "batch state"], Float[Tensor, " batch"]]:
    r"""A sample of $\mathcal N(m, e^{l})$ and its divergence from $\mathcal N(0, 1)$, summed over the state."""
    standard = mean.new_zeros(mean.shape[1])
    return gaussian_sample(mean, DiagonalScale(log_var[None] / 2), standard, standard, Estimator.ANALYTIC)
