r"""The exact posterior where prior and likelihood are linear-Gaussian, and the process that starts from it.

For a prior chain $z_{n+1} = \Phi z_n + c + G w_n$, $w_n \sim \mathcal N(0, h)$, with observations whose log-likelihood is a
quadratic of the path (`Evidence`), what later observations say of the state at step $n$ is a quadratic as well, with
precision $\Lambda_n$ and information $\lambda_n$. Backward in time, an observation adds its own $J$ and $j$, and one step is

$$\Lambda \gets \Phi^\top M \Lambda \Phi, \qquad \lambda \gets \Phi^\top M (\lambda - \Lambda c), \qquad
  M = (I + \Lambda Q)^{-1}, \; Q = G G^\top h,$$

with the old $\Lambda$ on the right. Given $z_n$, the increment of the posterior is Gaussian with

$$\mathrm{Cov}\,w = (I / h + G^\top \Lambda_{n+1} G)^{-1}, \qquad
  \mathrm{E}\,w = \mathrm{Cov}\,w\;G^\top \bigl(\lambda_{n+1} - \Lambda_{n+1} (\Phi z_n + c)\bigr),$$

in continuous time the control $u = G^\top (\lambda - \Lambda z)$ and unit scale.

Where the noise remembers, the state $z$ of the chain is that of the equation and the noise's memory, and $w$ holds all that is
new in a step: of a bank of $K$ processes, $K$ numbers for each noise.

Source: derived; the continuous control is that of Daems et al., *Efficient training of neural SDEs using stochastic optimal
control*, 2025, arXiv:2505.17150.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.inference.control import Control, Features, Memory, NoControl
from neuralsde.inference.latent_sde import LatentSDE, with_memory
from neuralsde.inference.path import Estimator, Evidence, gaussian_sample
from neuralsde.inference.scale import PrecisionScale, Scale, repeated, times_vector
from neuralsde.inference.steering import AbstractMover, Plan, divergence, steer
from neuralsde.noise import Brownian, FractionalBrownian, Increments, OUBank, Outlook
from neuralsde.sde import AbstractSDE, OrnsteinUhlenbeck
from neuralsde.solvers import EulerMaruyama


class Chain(NamedTuple):
    r"""A linear-Gaussian chain $z' = \Phi z + c + G w$, $w \sim \mathcal N(0, h)$.

    Args:
        phi: $\Phi$, (step, #batch, state, state).
        offset: $c$, (step, #batch, state).
        g: $G$, (step, #batch, state, noise).
        dt: $h$, (step, #batch, 1).
    """

    phi: Tensor
    offset: Tensor
    g: Tensor
    dt: Tensor


def chain_of(sde: OrnsteinUhlenbeck, size: int, dt: Float[Tensor, "step #batch 1"], bank: OUBank | None) -> Chain:
    """Euler–Maruyama steps of `size` Ornstein–Uhlenbeck processes; the memory of a noise that remembers follows the state."""
    rate, mean, sigma = (torch.as_tensor(x).to(dt).expand(size) for x in (sde.rate, sde.mean, sde.sigma))
    phi, offset = torch.diag_embed(1 - rate * dt), rate * mean * dt
    if bank is None:
        return Chain(phi, offset, torch.diag_embed(sigma).expand_as(phi), dt)
    noises, processes = bank.pull.shape[-2:]
    each = torch.eye(noises, dtype=dt.dtype, device=dt.device)
    pulled, moved = (
        torch.einsum("...dk,de->...dek", sigma[:, None] * part, each).flatten(-2)
        for part in (bank.pull, bank.gain[..., None] * bank.along)
    )
    decay = torch.diag_embed(bank.decay.expand_as(bank.pull).flatten(-2))
    spread = torch.einsum("...kj,de->...dkej", bank.root, each).flatten(-4, -3).flatten(-2) / dt[..., None].sqrt()
    pulled, moved, decay = (part.expand(*dt.shape[:-1], *part.shape[-2:]) for part in (pulled, moved, decay))
    above, below = torch.cat([phi, pulled], -1), torch.cat([torch.zeros_like(pulled).mT, decay], -1)
    offset = nn.functional.pad(offset, (0, noises * processes))
    return Chain(torch.cat([above, below], -2), offset, torch.cat([moved, spread], -2), dt)


class Smoother(NamedTuple):
    r"""The exact posterior of a linear-Gaussian chain.

    Args:
        gain: $K$ of the control $u_n = a_n - K_n z_n$, (step, batch, noise, state).
        aim: its $a$, (step, batch, noise).
        scale: of the increments.
        precision: $\Lambda_0$, what the observations say of the start, (batch, state, state).
        information: $\lambda_0$, (batch, state).
    """

    gain: Tensor
    aim: Tensor
    scale: PrecisionScale
    precision: Tensor
    information: Tensor

    def repeated(self, samples: int) -> "Smoother":
        """That of so many samples of each trial, samples outside, trials inside."""
        gain, aim = (repeated(part, samples) for part in (self.gain, self.aim))
        start = (repeated(part[None], samples)[0] for part in (self.precision, self.information))
        return Smoother(gain, aim, self.scale.repeated(samples), *start)


def smoother(chain: Chain, evidence: Evidence, every: int = 1) -> Smoother:
    r"""Backward messages, and the posterior they give.

    Args:
        chain: the prior.
        evidence: of the observations at every `every`-th point of the chain, the first included.
        every: steps from one observation to the next.
    """
    precision, information = evidence.precision[-1], evidence.information[-1]
    eye = torch.eye(chain.g.shape[-1], dtype=information.dtype, device=information.device)
    gains, aims, roots = [], [], []
    for n in reversed(range(len(chain.phi))):
        phi, g, h = chain.phi[n], chain.g[n], chain.dt[n][..., None]
        seen_by_noise = precision @ g  # Lambda G
        # The precision of the increments in units of the prior's: I + h G' Lambda G.
        root = torch.linalg.cholesky(eye + h * (g.mT @ seen_by_noise))
        ahead = information - times_vector(precision, chain.offset[n])
        to_increment = torch.cholesky_solve(seen_by_noise.mT, root)
        aim = torch.cholesky_solve(g.mT @ ahead[..., None], root)
        gains.append(to_increment @ phi), aims.append(aim[..., 0]), roots.append(root)
        # By the matrix inversion lemma, M Lambda = Lambda - Lambda G h (I + h G' Lambda G)^-1 G' Lambda, and so M x.
        spent = h * seen_by_noise
        precision = phi.mT @ (precision - spent @ to_increment) @ phi
        information = times_vector(phi.mT, ahead - (spent @ aim)[..., 0])
        if n % every == 0:
            precision = precision + evidence.precision[n // every]
            information = information + evidence.information[n // every]
    scale = PrecisionScale(torch.stack(roots[::-1]))
    return Smoother(torch.stack(gains[::-1]), torch.stack(aims[::-1]), scale, precision, information)


class _Corrected(Control):
    """The exact control of a linear-Gaussian model, $a_n - K_n z$, plus a control that learns what is left."""

    def __init__(self, correction: Control):
        super().__init__(0, 0, narrows=False)  # the exact posterior says how narrow the increments are
        self.correction = correction

    def plan(
        self,
        context: Float[Tensor, "bin batch context"],
        spread: Float[Tensor, "bin #batch noise"] | None,
        dt: Float[Tensor, "bin #batch 1"],
        outlook: Outlook | None = None,
    ) -> Features:
        return self.correction.plan(context, spread, dt)

    def forward(
        self, y: Float[Tensor, "batch state"], memory: Memory, *features: Float[Tensor, "#batch *_"]
    ) -> Float[Tensor, "batch noise"]:
        aim, gain, *rest = features
        return aim - times_vector(gain, y) + self.correction(y.to(rest[0].dtype), None, *rest)


class _OnChain(AbstractMover):
    """A state and its memory on a linear-Gaussian chain."""

    def __init__(self, chain: Chain, z0: Float[Tensor, "batch state"]):
        self.chain, self.z = chain, z0

    def coordinates(self) -> Float[Tensor, "batch state"]:
        return self.z

    def move(self, n: int, step: Increments) -> None:
        phi, offset, g = self.chain.phi[n], self.chain.offset[n], self.chain.g[n]
        self.z = times_vector(phi, self.z) + offset + times_vector(g, step.w)


@dataclass(frozen=True)
class _ExactPlan(Plan):
    """What steers a path on a chain."""

    chain: Chain


class LinearGaussianSDE(LatentSDE):
    r"""Ornstein–Uhlenbeck processes observed linearly through Gaussian noise, from their exact posterior on.

    Control, scale of the increments and start are those that the observations' own likelihood gives (`smoother`), for
    whatever parameters prior and likelihood have: the bound is the log-evidence of the discretised model from the first step
    of training, where all that is to be explained is observed (held-out channels and forward bins are not). What is learned
    from the context is a correction, zero at the start.

    With a noise that remembers, its memory is part of the state: the bound is the log-evidence then too, the Hurst index
    learns by maximum likelihood, and `kl_initial` is that of state and memory together. Messages are in double precision.

    Args:
        context_size: channels of the encoder's context.
        latent_size: number of processes.
        control: makes the correction from `context_size`, `state_size` and `noise_size`, zero at the start; None for none: what
            is learned is the prior and the likelihood, by maximum likelihood.
        settings: as of `LatentSDE`, with an equation that is prepared as an `OrnsteinUhlenbeck` and the solver `EulerMaruyama`.

    Raises:
        ConfigError: equation or solver are others.
    """

    wants_evidence = True

    def __init__(self, context_size: int, latent_size: int, control: Callable[..., Control] | None = None, **settings: Any):
        super().__init__(context_size, latent_size, control=control or NoControl, **settings)
        if not isinstance(self.sde.prepared(), OrnsteinUhlenbeck) or type(self.solver) is not EulerMaruyama:
            raise ConfigError(
                f"model.dynamics LinearGaussianSDE knows the exact posterior of Ornstein–Uhlenbeck processes in Euler–Maruyama "
                f"steps, but got {type(self.sde).__name__} and {type(self.solver).__name__}; use neuralsde.inference.LatentSDE."
            )
        if self.steer_forward:
            raise ConfigError(
                "model.dynamics.steer_forward=true asks for observations in forward bins, which have none: set it to false."
            )
        self.corrected, self.past = _Corrected(self.control), None
        nn.init.zeros_(self.initial.weight)
        nn.init.zeros_(self.initial.bias)
        self.initial.requires_grad_(control is not None)

    def control_sizes(self) -> dict[str, int]:
        """On the chain the memory is part of the state, and all that is new in a step can be steered."""
        memory = self.noise.memory_size
        return {"state_size": self.output_size + memory, "noise_size": memory or self.output_size}

    def _condition(
        self,
        sde: AbstractSDE,
        context: Float[Tensor, "bin batch context"],
        grid: Tensor | None,
        bank: OUBank | None,
        evidence: Evidence | None,
        samples: int = 1,
    ) -> tuple[tuple[Tensor, Scale], Plan | None]:
        assert evidence is not None
        assert isinstance(sde, OrnsteinUhlenbeck)
        exact = torch.float64 if self.noise.memory_size else context.dtype
        precision, information = self._with_memory(Evidence(*(part.to(exact) for part in evidence)))
        samples = context.shape[1] // information.shape[1]
        start, plan = (repeated(precision, samples)[0], repeated(information, samples)[0]), None
        if grid is not None:
            dt = grid.diff(dim=0)
            chain = chain_of(sde, self.output_size, dt.to(exact), bank)
            once = Chain(*(part[:, : information.shape[1]] for part in chain))  # trials, under one sample
            found = smoother(once, Evidence(precision, information), self.substeps).repeated(samples)
            start = found.precision, found.information
            every = slice(None, None, self.substeps)
            learned = self.corrected.plan(context[1:], None, dt[every].to(context.dtype))
            every_step = (part.repeat_interleave(self.substeps, 0) for part in learned)
            plan = _ExactPlan(self.corrected, (found.aim, found.gain, *every_step), found.scale, chain)
        return self._start(*start, context[0]), plan

    def _with_memory(self, evidence: Evidence) -> Evidence:
        """The same of state and memory, of which the observations see the state alone."""
        memory = self.noise.memory_size
        padded = nn.functional.pad(evidence.precision, (0, memory, 0, memory))
        return Evidence(padded, nn.functional.pad(evidence.information, (0, memory)))

    def _start(self, precision: Tensor, information: Tensor, summary: Tensor) -> tuple[Tensor, PrecisionScale]:
        """Posterior of the start, given what the observations say of state and memory: of the state's coordinates and, where
        the noise has a past, of the standard normals that it stands for."""
        size, prior_mean, prior_log_var = self.output_size, *self._start_prior(precision.dtype)
        if isinstance(self.noise, FractionalBrownian) and self.noise.has_past:
            root = self.noise.past_root(precision.dtype)
            whole = torch.block_diag(torch.eye(size, dtype=root.dtype, device=root.device), *[root] * self.noise.size)
            precision, information = whole.mT @ precision @ whole, times_vector(whole.mT, information)
        count = len(prior_mean)
        precision, information = precision[:, :count, :count], information[:, :count]
        prior = torch.exp(-prior_log_var)
        root = torch.linalg.cholesky(torch.diag_embed(prior) + precision)
        mean = torch.cholesky_solve((prior * prior_mean + information)[..., None], root)[..., 0]
        correction = nn.functional.pad(self.initial(summary)[:, :size], (0, count - size))
        return mean + correction, PrecisionScale(root[None])

    def _start_prior(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the start's prior, that of a past included."""
        past = self.noise.memory_size if self.noise.has_past else 0
        mean, log_var = (nn.functional.pad(p, (0, past)).to(dtype) for p in (self.prior_mean, self.prior_log_var))
        return mean, log_var

    def _begin(
        self, sde: AbstractSDE, start: tuple[Tensor, Scale], summary: Tensor, estimator: Estimator
    ) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
        sample, kl = gaussian_sample(*start, *self._start_prior(start[0].dtype), estimator)
        z0, past = sample[:, : self.output_size], sample[:, self.output_size :]
        if self.noise.has_past:
            memory = self.noise.past(past.unflatten(1, self.noise.memory_shape))
        else:
            memory = self.noise.fresh_memory((len(z0),), z0)
        return z0, memory, {"kl_initial": kl}

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
        assert isinstance(plan, _ExactPlan)
        path = Brownian().increments(grid, (len(z0), plan.chain.g.shape[-1]), dtype=plan.chain.g.dtype)
        steered = steer(_OnChain(plan.chain, with_memory(z0, memory)), plan, path, estimator is Estimator.LANDING)
        cost = divergence(steered, path, plan.scale, estimator).sum(0)
        memory = self._parted(steered.states[-1])[1]
        return steered.states[:: self.substeps, :, : self.output_size], memory, cost
