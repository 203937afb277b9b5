r"""A bank of Ornstein–Uhlenbeck processes that remembers a Brownian motion, and its exact transitions.

For each driven component the processes $dY_k = -\gamma_k Y_k\,dt + dW$, $k = 1 \dots K$, share one Brownian motion. Over a
step of length $h$, exactly,

$$Y_k \gets e^{-\gamma_k h} Y_k + \xi_k, \qquad
  \mathrm{Cov}(\xi_i, \xi_j) = \frac{1 - e^{-(\gamma_i + \gamma_j) h}}{\gamma_i + \gamma_j},$$

whatever $\gamma h$. A noise $\hat B = \omega^\top Y$ moves by $\Delta \hat B = \omega'^\top Y' - \omega^\top Y$, of which
$\omega'^\top \xi \sim \mathcal N(0, v)$ is new. One normal per step, $W \sim \mathcal N(0, h)$, is laid along what is new:

$$\Delta \hat B = c^\top Y + \sqrt{v / h}\; W, \qquad Y' = e^{-\gamma h} Y + \ell\, W + \xi^\perp,$$

with $\xi^\perp$ independent of $W$. Whoever shifts and narrows $W$, $W \to s W + u h$, steers all that a step can add to the
noise, at the divergence of Gaussian increments; as $h \to 0$ it is the Brownian motion itself.

The processes are kept in units of their standard deviation, so that fast and slow ones count alike.

Source: derived (Girsanov's shift of a discretised linear filter); the bank is that of Daems et al. 2024, arXiv:2310.12975.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.noise.increments import Increments

RIDGE = 1e-13  # relative variance added to covariances that are singular in double precision


@dataclass(frozen=True)
class OUBank:
    r"""Transitions of a bank over the steps of a grid (the first axis).

    Args:
        decay: $e^{-\gamma h}$, (step, *#batch, 1, process).
        pull: $c$, what the memory moves the noise by, (step, *#batch, noise, process).
        gain: $\sqrt{v / h}$, what a unit of $W$ moves the noise by, (step, *#batch, noise).
        loading: $\ell$, what a unit of $W$ moves the memory by, (step, *#batch, noise, process).
        along: the direction of $W$ among the standard normals behind $\xi$, (step, *#batch, noise, process).
        root: $L$ with $L L^\top = \mathrm{Cov}(\xi)$, (step, *#batch, process, process).
    """

    decay: Tensor
    pull: Tensor
    gain: Tensor
    loading: Tensor
    along: Tensor
    root: Tensor

    def part(
        self, normals: Float[Tensor, "step *batch noise process"]
    ) -> tuple[Float[Tensor, "step *batch noise"], Float[Tensor, "step *batch noise process"]]:
        r"""Standard normals taken apart: $W / \sqrt h$, and $\xi^\perp$."""
        share = (normals * self.along).sum(-1)
        return share, self.spread(normals - self.along * share[..., None])

    def spread(self, normals: Float[Tensor, "step *batch noise process"]) -> Float[Tensor, "step *batch noise process"]:
        r"""$L$ times standard normals."""
        if self.root[0].numel() > self.root.shape[-1] ** 2:  # a step of its own for each sample
            return normals @ self.root.mT
        return (normals.flatten(1, -2) @ self.root.view(len(self.root), *self.root.shape[-2:]).mT).view_as(normals)

    def transitions(self, rest: Float[Tensor, "step *batch noise process"]) -> "list[Transition]":
        """All steps, one by one."""
        parts = (self.decay, self.pull, self.gain, self.loading)
        every = (part.expand(len(rest), *part.shape[1:]).unbind(0) for part in parts)
        return [Transition(*step) for step in zip(*every, rest.unbind(0), strict=True)]


class Transition(NamedTuple):
    """One step of an `OUBank`, with what no control moves of it; see there."""

    decay: Tensor
    pull: Tensor
    gain: Tensor
    loading: Tensor
    rest: Tensor

    def __call__(
        self, memory: Float[Tensor, "*batch noise process"], w: Float[Tensor, "*batch noise"]
    ) -> tuple[Float[Tensor, "*batch noise process"], Float[Tensor, "*batch noise"]]:
        """Memory and increment of the noise after the Brownian increment `w`."""
        increment = torch.addcmul((self.pull * memory).sum(-1), self.gain, w)
        kept = torch.addcmul(self.rest, self.decay, memory)
        return torch.addcmul(kept, self.loading, w.unsqueeze(-1)), increment


def run(
    transitions: list[Transition], path: Increments, memory: Float[Tensor, "*batch noise process"]
) -> tuple[Increments, Float[Tensor, "*batch noise process"]]:
    """The noise's increments along a Brownian `path`, and what is remembered at its end."""
    moved = []
    for step, w in zip(transitions, path.w.unbind(0), strict=True):
        memory, increment = step(memory, w)
        moved.append(increment)
    return Increments(path.dt, torch.stack(moved)), memory


def innovation_root(
    rates: Float[Tensor, " process"], unit: Float[Tensor, " process"], dt: Float[Tensor, "*steps 1"]
) -> Float[Tensor, "*steps process process"]:
    r"""$L$ with $L L^\top = \mathrm{Cov}(\xi)$, the processes in units of `unit`."""
    together = rates[:, None] + rates
    return stable_root(-torch.expm1(-together * dt[..., None]) / together / (unit[:, None] * unit))


def stable_root(covariance: Float[Tensor, "*steps process process"]) -> Float[Tensor, "*steps process process"]:
    """The Cholesky factor of a covariance that may be singular in double precision."""
    scale = covariance.diagonal(dim1=-2, dim2=-1).sqrt()
    correlation = covariance / (scale[..., None] * scale[..., None, :])
    ridge = RIDGE * torch.eye(covariance.shape[-1], dtype=covariance.dtype, device=covariance.device)
    return scale[..., None] * torch.linalg.cholesky(correlation + ridge)
