from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from neuralsde.errors import DivergenceError
from neuralsde.inference.marginals import AbstractMarginals, Clock, Steps, Times, jacobian
from neuralsde.inference.scale import TriangularScale, times_vector
from neuralsde.kernels.first_order import first_order
from neuralsde.nn.curves import AbstractCurves
from neuralsde.nn.local_context import Context
from neuralsde.sde import AbstractSDE, NoiseType


@dataclass(frozen=True)
class FullGaussian:
    """Mean, deviations and mixing: the root of the covariance is `std` times a unit lower triangular matrix, row by row."""

    mean: Tensor
    std: Tensor
    mixing: Tensor


@dataclass(frozen=True)
class MovingFullGaussian(FullGaussian):
    """The same with derivatives in time, and the antisymmetric matrix of the current that turns along its level sets."""

    mean_slope: Tensor
    log_std_slope: Tensor
    mixing_slope: Tensor
    current: Tensor


class FullMarginals(AbstractMarginals):
    r"""Components of any covariance, $y = m + L \varepsilon$ with $L$ lower triangular, and a current:

    $$\tilde f(y) = m' + L' \varepsilon + \bigl(\tfrac12 g^2 - K\bigr) \nabla \ln q + \tfrac12 \frac{\partial g^2}{\partial y},
      \qquad \nabla \ln q = -L^{-\top} \varepsilon,$$

    with an antisymmetric $K(t)$, which changes no marginal: $\nabla \cdot (K \nabla q) = 0$. $L$ and $K$ have together as many
    entries as the matrix of a linear drift, so that every linear posterior drift is among these. Both start diagonal and zero.

    A step of finite length goes by $y - m_n \gets R (y - m_n) + \ldots$ with noise of covariance $C$, where

    $$R = C (g^2 h)^{-1} (I + h J), \qquad C = L_{n+1} Z L_{n+1}^\top, \qquad Z + Z B^\top B Z = I, \qquad
      B = L_n^\top (I + h J)^\top (g^2 h)^{-1} L_{n+1}$$

    and $J$ is the Jacobian of the prior's drift at the mean. Of all steps from one marginal to the next it diverges least from
    the prior's, but for the drift's curvature (see `neuralsde.inference.marginals`); which current is best comes of itself.

    Args:
        curves: makes the curves of all moments from `context_size` and `channels`.
        context_size: channels of the context.
        state_size: components.
        initial_log_var: offset of the logarithms of the variances.
    """

    scale = TriangularScale

    def __init__(self, curves: Callable[..., AbstractCurves], context_size: int, state_size: int, initial_log_var: float):
        super().__init__()
        self.size, self.pairs = state_size, state_size * (state_size - 1) // 2
        self.curves = curves(context_size=context_size, channels=2 * state_size + 2 * self.pairs)
        self.log_std = initial_log_var / 2
        self.curves.start_at_zero(2 * state_size)

    def start_through(self, weight: Float[Tensor, "state passed"], offset: Float[Tensor, " state"]) -> None:
        self.curves.start_through(weight, offset)

    def moments(self, sde: AbstractSDE, context: Context, clock: Clock, t: Times) -> MovingFullGaussian:
        curve = self.curves(context, clock, t)
        mean, log_std, mixing, current = self._parts(curve.value)
        mean_slope, log_std_slope, mixing_slope, _ = self._parts(curve.slope)
        mixing, mixing_slope, current = self._lower(torch.stack([mixing, mixing_slope, current]))
        std = torch.exp(log_std + self.log_std)
        return MovingFullGaussian(mean, std, mixing, mean_slope, log_std_slope, mixing_slope, current - current.mT)

    def moments_in(
        self,
        sde: AbstractSDE,
        context: Context,
        clock: Clock,
        bins: Int[Tensor, "batch point"],
    ) -> FullGaussian:
        mean, log_std, mixing, _ = self._parts(self.curves.at_bins(context, clock, bins))
        return FullGaussian(mean, torch.exp(log_std + self.log_std), self._lower(mixing))

    def _parts(self, channels: Float[Tensor, "batch point channel"]) -> list[Tensor]:
        return list(channels.split([self.size, self.size, self.pairs, self.pairs], -1))

    def _lower(self, pairs: Float[Tensor, "*point pair"]) -> Float[Tensor, "*point state state"]:
        """A strictly lower triangular matrix of these entries."""
        matrix = pairs.new_zeros(*pairs.shape[:-1], self.size * self.size)
        row, column = torch.tril_indices(self.size, self.size, -1, device=pairs.device)
        return matrix.index_copy(-1, row * self.size + column, pairs).unflatten(-1, (self.size, self.size))

    def draw(
        self, sde: AbstractSDE, moments: FullGaussian, standard: Float[Tensor, "batch point state"]
    ) -> Float[Tensor, "batch point state"]:
        return torch.addcmul(moments.mean, moments.std, standard + times_vector(moments.mixing, standard))

    def control(
        self, sde: AbstractSDE, t: Times, moments: MovingFullGaussian, standard: Float[Tensor, "batch point state"]
    ) -> Float[Tensor, "batch point noise"]:
        drift, g, g_slope = sde.in_coordinates(t[..., None], self.draw(sde, moments, standard))
        spread = moments.log_std_slope * (standard + times_vector(moments.mixing, standard)) + times_vector(
            moments.mixing_slope, standard
        )
        score = -inverse_transposed(moments, standard[..., None])[..., 0]
        flow = moments.mean_slope + moments.std * spread - times_vector(moments.current, score)
        return (flow - drift) / g + g_slope + g * score / 2

    def start(self, sde: AbstractSDE, moments: FullGaussian) -> tuple[Float[Tensor, "batch state"], TriangularScale]:
        return moments.mean[:, 0], TriangularScale(root(moments)[:, 0][None])

    def steps(self, sde: AbstractSDE, t: Times, dt: Times, here: MovingFullGaussian, there: MovingFullGaussian) -> Steps:
        g = sde.in_coordinates(t[..., None], here.mean)[1].expand_as(here.mean)
        kind, h = g.dtype, dt[..., None].double()
        eye = torch.eye(self.size, dtype=h.dtype, device=g.device)
        # In double precision: where a step is small beside the marginals, C is a difference of near matrices.
        begin, end, spread = root(here).double(), root(there).double(), g.double().square() * h
        moved = (eye + h[..., None] * jacobian(sde, t, here.mean).double()) / spread[..., None]
        product = begin.mT @ moved.mT @ end
        finite = torch.isfinite(product).flatten(1).all(1)
        if not finite.all():
            raise DivergenceError(
                "The marginals of the posterior, or the prior's slopes there, are not finite in "
                f"{int((~finite).sum())} of {len(finite)} samples; a lower optimizer.lr keeps them so."
            )
        covariance = end @ Lost.apply(product.mT @ product) @ end.mT
        scale = torch.linalg.cholesky(covariance) / spread.sqrt()[..., None]
        inverse = torch.linalg.solve_triangular(begin, eye.expand_as(begin), upper=False)
        gain = (covariance @ moved).to(kind)
        return Steps((t[..., None], dt[..., None], here.mean, there.mean, gain, inverse.to(kind), g), scale.to(kind))

    def steer(self, sde: AbstractSDE, y: Float[Tensor, "*batch state"], *features: Float[Tensor, "..."]) -> Tensor:
        t, dt, mean, target, gain, inverse, typical = features
        drift, g, g_slope = sde.in_coordinates(t, y)
        away = y - mean
        move = target - y + times_vector(gain, away)
        if sde.noise is NoiseType.DIAGONAL:
            score = -times_vector(inverse.mT, times_vector(inverse, away))
            move = move + dt * (g * g_slope + (g.square() - typical.square()) / 2 * score)
        return (move / dt - drift) / g


class Lost(torch.autograd.Function):
    r"""The solution $Z = 2 \bigl(I + (I + 4 H)^{1/2}\bigr)^{-1}$ of $Z + Z H Z = I$ for symmetric $H \ge 0$.

    Differentiated by divided differences, which stay finite where eigenvalues are equal.
    """

    @staticmethod
    def forward(ctx: Any, h: Float[Tensor, "*batch state state"]) -> Float[Tensor, "*batch state state"]:
        values, vectors = torch.linalg.eigh(h)
        roots = torch.sqrt(1 + 4 * values.clamp(min=0.0))
        ctx.save_for_backward(roots, vectors)
        return vectors * (2 / (1 + roots))[..., None, :] @ vectors.mT

    @staticmethod
    @first_order
    def backward(ctx: Any, *cotangents: Tensor) -> Tensor:
        roots, vectors = ctx.saved_tensors
        rows, columns = roots[..., :, None], roots[..., None, :]
        differences = -8 / ((1 + rows) * (1 + columns) * (rows + columns))
        inside = vectors.mT @ cotangents[0] @ vectors
        return vectors @ (differences * inside) @ vectors.mT


def root(moments: FullGaussian) -> Float[Tensor, "batch point state state"]:
    """The lower triangular root $L$ of the covariance."""
    return moments.std[..., None] * moments.mixing + torch.diag_embed(moments.std)


def inverse_transposed(
    moments: FullGaussian, right: Float[Tensor, "batch point state column"]
) -> Float[Tensor, "batch point state column"]:
    r"""$L^{-\top}$ times `right`."""
    solved = torch.linalg.solve_triangular(moments.mixing.mT, right, upper=True, unitriangular=True)
    return solved / moments.std[..., None]
