"""How the next step length follows from the last errors."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class PIDController:
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

    def factor(
        self,
        errors: tuple[Float[Tensor, "*batch 1"], Float[Tensor, "*batch 1"], Float[Tensor, "*batch 1"]],
        order: float,
    ) -> Float[Tensor, "*batch 1"]:
        """By what the step length is multiplied, given the last three scaled errors, latest first."""
        p, i, d = (c / order for c in (self.pcoeff, self.icoeff, self.dcoeff))
        now, last, first = (e.clamp(1e-6, 1e6) for e in errors)
        return (self.safety * now ** -(p + i + d) * last ** (p + 2 * d) * first**-d).clamp(self.shrink, self.grow)
