"""How the next step length follows from the last errors."""

import abc
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

History = tuple[Float[Tensor, "*batch 1"], Float[Tensor, "*batch 1"]]


class AbstractController(abc.ABC):
    """Judges a step, and says how long the next one should be. `reads_error`: whether the step's error has to be estimated."""

    dt_min: float
    dt_max: float
    reads_error: ClassVar[bool] = True

    @abc.abstractmethod
    def advise(
        self,
        length: Float[Tensor, "*batch 1"],
        before: Float[Tensor, "*batch state"],
        after: Float[Tensor, "*batch state"],
        error: Float[Tensor, "*batch state"],
        history: History,
        order: float,
    ) -> tuple[Float[Tensor, "*batch 1"], Float[Tensor, "*batch 1"]]:
        """How much too coarse a step was (1 is just acceptable), and the length of the next.

        Args:
            length: of the step.
            before, after: the solution at its ends.
            error: estimate of its error.
            history: how much too coarse the last two accepted steps were, latest first.
            order: of the local error.
        """


@dataclass(frozen=True)
class PIDController(AbstractController):
    r"""Step lengths from the last three scaled errors $e_n, e_{n-1}, e_{n-2}$ (1 is just acceptable):

    $$h_{n+1} = h_n \cdot s \cdot e_n^{-(k_P + k_I + k_D)/q}\, e_{n-1}^{(k_P + 2 k_D)/q}\, e_{n-2}^{-k_D/q},$$

    clipped to `[shrink, grow]` times $h_n$, with $q$ the order of the local error.

    Args:
        atol: absolute tolerance, in units of the state.
        rtol: relative tolerance.
        dt_min: shortest step, in units of time; a step under twice that is accepted whatever its error.
        dt_max: longest step.
        pcoeff: $k_P$.
        icoeff: $k_I$.
        dcoeff: $k_D$.
        safety: $s$.
        shrink: smallest factor.
        grow: largest factor.

    Reference: Söderlind, "Digital filters in adaptive time-stepping", ACM TOMS 29(1), 2003; values as in diffrax.
    """

    atol: float = 5e-3
    rtol: float = 0.0
    dt_min: float = 2.0**-12
    dt_max: float = float("inf")
    pcoeff: float = 0.1
    icoeff: float = 0.3
    dcoeff: float = 0.0
    safety: float = 0.9
    shrink: float = 0.2
    grow: float = 10.0

    def scaled(
        self,
        error: Float[Tensor, "*batch state"],
        before: Float[Tensor, "*batch state"],
        after: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch 1"]:
        """Root mean square, per sample, of `error` over its tolerance; infinite where it is not a number."""
        tolerance = self.atol + self.rtol * before.abs().maximum(after.abs())
        ratio = (error / tolerance).square().mean(-1, keepdim=True).sqrt()
        return ratio.nan_to_num(nan=float("inf"))

    def advise(
        self,
        length: Float[Tensor, "*batch 1"],
        before: Float[Tensor, "*batch state"],
        after: Float[Tensor, "*batch state"],
        error: Float[Tensor, "*batch state"],
        history: History,
        order: float,
    ) -> tuple[Float[Tensor, "*batch 1"], Float[Tensor, "*batch 1"]]:
        scaled = self.scaled(error, before, after).double()
        p, i, d = (c / order for c in (self.pcoeff, self.icoeff, self.dcoeff))
        now, last, first = (e.clamp(1e-6, 1e6) for e in (scaled, *history))
        factor = self.safety * now ** -(p + i + d) * last ** (p + 2 * d) * first**-d
        return scaled, length * factor.clamp(self.shrink, self.grow)


@dataclass(frozen=True)
class RootController(AbstractController):
    r"""Step lengths from the state alone, for noise $\sqrt z$ that is hard near zero, as that of `CoxIngersollRoss`:

    $$h(z) = (c\, \min_i z_i^+)^{2/3},$$

    clipped to `[dt_min, dt_max]`. A step from $z_0$ to $z_1$ is rejected where it is longer than $1.1\, h(\min(z_0, z_1))$.
    No error is estimated, so a trial costs one step.

    Args:
        ctol: $c$; the error falls as the tolerance does, the number of steps grows as its power $-2/3$.
        dt_min: shortest step, in units of time; a step under twice that is accepted.
        dt_max: longest step.

    Reference: Jelinčič, Foster, Kidger, "Single-seed generation of Brownian paths and integrals for adaptive and high
    order SDE solvers", arXiv 2405.06464.
    """

    ctol: float
    dt_min: float = 2.0**-12
    dt_max: float = 1.0
    reads_error = False

    def advise(
        self,
        length: Float[Tensor, "*batch 1"],
        before: Float[Tensor, "*batch state"],
        after: Float[Tensor, "*batch state"],
        error: Float[Tensor, "*batch state"],
        history: History,
        order: float,
    ) -> tuple[Float[Tensor, "*batch 1"], Float[Tensor, "*batch 1"]]:
        scaled = length / (1.1 * self._length(torch.minimum(before, after)))
        return scaled, self._length(torch.where(scaled <= 1, after, torch.minimum(before, after)))

    def _length(self, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch 1"]:
        lowest = z.double().amin(-1, keepdim=True).clamp(min=0)
        return ((self.ctol * lowest) ** (2 / 3)).clamp(self.dt_min, self.dt_max)
