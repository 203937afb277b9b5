"""The exact posterior of a linear SDE observed through Gaussian noise, in continuous time, as a Gaussian process."""

from functools import cache

import torch
from torch import Tensor

from neuralsde.nn.curves import AbstractCurves, Curve


class LinearPosterior:
    """Of dz = A z dt + dW with covariance Q per unit time, z(0) ~ N(0, P0), given y_i = C z(t_i) + noise.

    Args:
        a, q, p0: A, Q and P0, (d, d).
        readout: C, (channel, d).
        t: times of the observations.
        y: the observations, (time, channel).
        noise: their standard deviation.
    """

    def __init__(self, a, q, p0, readout, t, y, noise):
        self.a, self.q, self.p0, self.c, self.t = a, q, p0, readout, t
        cross = self.prior(t[:, None], t[None])
        seen = torch.einsum("ci,stij,dj->sctd", readout, cross, readout).reshape(y.numel(), y.numel())
        self.seen = seen + noise**2 * torch.eye(y.numel(), dtype=seen.dtype)
        self.y = y.flatten()

    def prior_at(self, t: Tensor) -> Tensor:
        """Covariance of z(t), by the block exponential of Van Loan."""
        d = len(self.a)
        block = torch.cat([torch.cat([-self.a, self.q], 1), torch.cat([torch.zeros_like(self.a), self.a.T], 1)], 0)
        whole = torch.linalg.matrix_exp(t[..., None, None] * block)
        phi = whole[..., d:, d:].mT
        return phi @ self.p0 @ phi.mT + phi @ whole[..., :d, d:]

    def prior(self, s: Tensor, t: Tensor) -> Tensor:
        """Covariance of z(s) and z(t)."""
        s, t = torch.broadcast_tensors(s, t)
        ahead = torch.linalg.matrix_exp((s - t).abs()[..., None, None] * self.a) @ self.prior_at(torch.minimum(s, t))
        return torch.where((s >= t)[..., None, None], ahead, ahead.mT)

    def log_evidence(self) -> Tensor:
        return torch.distributions.MultivariateNormal(torch.zeros_like(self.y), self.seen).log_prob(self.y)

    def gain(self, t: Tensor) -> Tensor:
        """Covariance of z(t) and the observations, (*t, d, observation)."""
        return (self.prior(t[..., None], self.t) @ self.c.T).transpose(-3, -2).flatten(-2)

    def mean(self, t: Tensor) -> Tensor:
        return self.gain(t) @ torch.linalg.solve(self.seen, self.y)

    def covariance(self, t: Tensor) -> Tensor:
        gain = self.gain(t)
        return self.prior_at(t) - gain @ torch.linalg.solve(self.seen, gain.mT)

    def drift(self, t: Tensor) -> Tensor:
        """Matrix of the posterior's linear drift: of the covariance of z(t + u) and z(t), the slope in u, over that of z(t)."""

        def ahead(u: Tensor) -> Tensor:
            prior = torch.linalg.matrix_exp(u[..., None, None] * self.a) @ self.prior_at(t)
            return prior - self.gain(t + u) @ torch.linalg.solve(self.seen, self.gain(t).mT)

        return torch.func.jvp(ahead, (torch.zeros_like(t),), (torch.ones_like(t),))[1] @ self.covariance(t).inverse()


LAST, CELL = 2.0, 5e-3
"""Exact curves are known at the ends of cells of this length, and in their middle, which any time inside is taken for."""


@cache
def table(moments):
    """Values, slopes and bends."""
    t = torch.linspace(0.0, LAST, 2 * round(LAST / CELL) + 1, dtype=torch.float64)

    def slope(s):
        return torch.func.jvp(moments, (s,), (torch.ones_like(s),))

    (value, first), (_, second) = torch.func.jvp(slope, (t,), (torch.ones_like(t),))
    return value, first, second


class ExactCurves(AbstractCurves):
    """Curves of a function of time, whatever the context, from time 0 to 2; the last one times a factor."""

    def __init__(self, context_size, channels, bends=False, moments=None, last=1.0):
        super().__init__(context_size, channels, bends)
        self.table = table(moments[bends] if isinstance(moments, dict) else moments)
        self.factor = torch.ones(channels, dtype=torch.float64)
        self.factor[-1] = last

    def start_at_zero(self, first):
        pass

    def forward(self, context, clock, t):
        cells = t.detach() / CELL
        at_an_end = (cells - cells.round()).abs() < 1e-6
        place = torch.where(at_an_end, 2 * cells.round(), 2 * cells.floor() + 1).long()
        place = place.expand(max(len(context), len(t)), -1)
        return Curve(*(self.factor * part.detach()[place] for part in self.table))


def lower(matrix: Tensor) -> Tensor:
    """Entries below the diagonal."""
    row, column = torch.tril_indices(matrix.shape[-1], matrix.shape[-1], -1)
    return matrix[..., row, column]


def diagonal_moments(posterior):
    return lambda t: torch.cat([posterior.mean(t), posterior.covariance(t).diagonal(dim1=-2, dim2=-1).log() / 2], -1)


def full_moments(posterior):
    """Mean, log-deviations (diagonal of the root), mixing and current."""

    def moments(t):
        root = torch.linalg.cholesky(posterior.covariance(t))
        std = root.diagonal(dim1=-2, dim2=-1)
        return torch.cat([posterior.mean(t), std.log(), lower(root / std[..., None]), lower(turning(t))], -1)

    def turning(t):
        root, slope = torch.func.jvp(lambda s: torch.linalg.cholesky(posterior.covariance(s)), (t,), (torch.ones_like(t),))
        return (posterior.drift(t) - slope @ root.inverse()) @ posterior.covariance(t) + posterior.q / 2

    return moments


def underdamped_moments(posterior):
    """Of the position, and of the velocity given it in units of one."""

    def position(t):
        return torch.stack([posterior.mean(t)[..., 0], posterior.covariance(t)[..., 0, 0].log() / 2], -1)

    def velocity(t):
        s = posterior.covariance(t)
        return (s[..., 1, 1] - s[..., 0, 1] ** 2 / s[..., 0, 0]).log()[..., None] / 2

    return {True: position, False: velocity}
