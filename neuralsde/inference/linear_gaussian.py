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

Source: derived; the continuous control is that of Daems et al., *Efficient training of neural SDEs using stochastic optimal
control*, 2025, arXiv:2505.17150.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.inference.control import Control, Features
from neuralsde.inference.latent_sde import LatentSDE
from neuralsde.inference.path import Evidence
from neuralsde.inference.scale import PrecisionScale, Scale
from neuralsde.inference.steering import Plan
from neuralsde.sde import AbstractSDE, OrnsteinUhlenbeck
from neuralsde.solvers import EulerMaruyama


class Smoother(NamedTuple):
    r"""The exact posterior of a linear-Gaussian chain.

    Args:
        gain: $K$ of the control $u_n = a_n - K_n z_n$, (step, batch, state, state).
        aim: its $a$, (step, batch, state).
        scale: of the increments.
        precision: $\Lambda_0$, what the observations say of the start, (batch, state, state).
        information: $\lambda_0$, (batch, state).
    """

    gain: Tensor
    aim: Tensor
    scale: PrecisionScale
    precision: Tensor
    information: Tensor


def smoother(
    phi: Float[Tensor, "step #batch state"],
    offset: Float[Tensor, "step #batch state"],
    g: Float[Tensor, "step #batch state"],
    dt: Float[Tensor, "step #batch 1"],
    evidence: Evidence,
    every: int = 1,
) -> Smoother:
    r"""Backward messages of a chain whose components do not mix ($\Phi$ and $G$ are diagonal), and the posterior they give.

    Args:
        phi: the diagonal of $\Phi$.
        offset: $c$.
        g: the diagonal of $G$.
        dt: $h$.
        evidence: of the observations at every `every`-th point of the chain, the first included.
        every: steps from one observation to the next.
    """
    precision, information = evidence.precision[-1], evidence.information[-1]
    eye = torch.eye(information.shape[-1], dtype=information.dtype, device=information.device)
    gains, aims, roots = [], [], []
    for n in reversed(range(len(phi))):
        p, c, s, h = phi[n], offset[n], g[n], dt[n]
        seen_by_noise = precision * s[..., None, :]  # Lambda G
        # The precision of the increments in units of the prior's: I + h G' Lambda G.
        root = torch.linalg.cholesky(eye + h[..., None] * s[..., None] * seen_by_noise)
        ahead = information - (precision @ c.expand_as(information)[..., None])[..., 0]
        to_increment = torch.cholesky_solve(seen_by_noise.mT, root)
        aim = torch.cholesky_solve((s * ahead)[..., None], root)
        gains.append(to_increment * p[..., None, :]), aims.append(aim[..., 0]), roots.append(root)
        # By the matrix inversion lemma, M Lambda = Lambda - Lambda G h (I + h G' Lambda G)^-1 G' Lambda, and so M x.
        spent = h[..., None] * seen_by_noise
        precision = p[..., None] * (precision - spent @ to_increment) * p[..., None, :]
        information = p * (ahead - (spent @ aim)[..., 0])
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
    ) -> Features:
        return self.correction.plan(context, spread, dt)

    def forward(self, y: Float[Tensor, "batch state"], *features: Float[Tensor, "batch _"]) -> Float[Tensor, "batch noise"]:
        aim, gain, *rest = features
        return aim - (gain.unflatten(-1, (-1, y.shape[-1])) @ y[..., None])[..., 0] + self.correction(y, *rest)


class LinearGaussianSDE(LatentSDE):
    r"""Ornstein–Uhlenbeck processes observed linearly through Gaussian noise, from their exact posterior on.

    Control, scale of the increments and start are those that the observations' own likelihood gives (`smoother`), for
    whatever parameters prior and likelihood have: the bound is the log-evidence of the discretised model from the first step
    of training, where all that is to be explained is observed (held-out channels and forward bins are not). What is learned
    from the context is a correction, zero at the start.

    Args:
        context_size: channels of the encoder's context.
        latent_size: number of processes.
        settings: as of `LatentSDE`, with an equation that is prepared as an `OrnsteinUhlenbeck`, the solver `EulerMaruyama`,
            and a control that starts at zero.

    Raises:
        ConfigError: equation or solver are others.
    """

    wants_evidence = True

    def __init__(self, context_size: int, latent_size: int, **settings: Any):
        super().__init__(context_size, latent_size, **settings)
        if not isinstance(self.sde.prepared(), OrnsteinUhlenbeck) or type(self.solver) is not EulerMaruyama:
            raise ConfigError(
                f"model.dynamics LinearGaussianSDE knows the exact posterior of Ornstein–Uhlenbeck processes in Euler–Maruyama "
                f"steps, but got {type(self.sde).__name__} and {type(self.solver).__name__}; use neuralsde.inference.LatentSDE."
            )
        if self.steer_forward:
            raise ConfigError(
                "model.dynamics.steer_forward=true asks for observations in forward bins, which have none: set it to false."
            )
        self.corrected = _Corrected(self.control)
        nn.init.zeros_(self.initial.weight)
        nn.init.zeros_(self.initial.bias)

    def _condition(
        self, sde: AbstractSDE, context: Float[Tensor, "bin batch context"], grid: Tensor | None, evidence: Evidence | None
    ) -> tuple[tuple[Tensor, Scale], Plan | None]:
        assert evidence is not None
        assert isinstance(sde, OrnsteinUhlenbeck)
        precision, information, plan = evidence.precision[0], evidence.information[0], None
        if grid is not None:
            dt = grid.diff(dim=0).to(context.dtype)
            rate, mean, sigma = (
                torch.as_tensor(x).to(dt).expand(len(self.prior_mean)) for x in (sde.rate, sde.mean, sde.sigma)
            )
            coefficients = 1 - rate * dt, rate * mean * dt, sigma.expand(len(dt), 1, -1)
            exact = smoother(*coefficients, dt, evidence, self.substeps)
            precision, information = exact.precision, exact.information
            learned = self.corrected.plan(context[1:], coefficients[2][:: self.substeps], dt[:: self.substeps])
            every_step = (part.repeat_interleave(self.substeps, 0) for part in learned)
            plan = Plan(self.corrected, (exact.aim, exact.gain.flatten(2), *every_step), exact.scale)
        prior = torch.exp(-self.prior_log_var)
        root = torch.linalg.cholesky(torch.diag_embed(prior) + precision)
        mean = torch.cholesky_solve((prior * self.prior_mean + information)[..., None], root)[..., 0]
        correction = self.initial(context[0])[:, : mean.shape[1]]
        return (mean + correction, PrecisionScale(root[None])), plan
