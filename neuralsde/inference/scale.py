"""How much narrower the posterior's increments are than the prior's: a factor per component, or a triangular matrix."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor


class Scale(ABC):
    r"""A linear map $S$ of standard increments; those of the posterior have covariance $S S^\top h$."""

    @abstractmethod
    def apply(self, w: Float[Tensor, "step batch noise"]) -> Float[Tensor, "step batch noise"]:
        """$S w$."""

    @abstractmethod
    def solve(self, w: Float[Tensor, "step batch noise"]) -> Float[Tensor, "step batch noise"]:
        """$S^{-1} w$."""

    @abstractmethod
    def log_det(self) -> Float[Tensor, "step #batch"]:
        r"""$\ln \det S$."""

    @abstractmethod
    def square_over(self, log_unit: Float[Tensor, "*units"]) -> Float[Tensor, "step #batch"]:
        r"""$\operatorname{tr} S S^\top - m$ with the components in units of their own, given as logarithms."""

    def square(self) -> Float[Tensor, "step #batch"]:
        """The same in common units: zero for the prior's own increments."""
        return self.square_over(self.log_det().new_zeros(()))

    @abstractmethod
    def detached(self) -> "Scale":
        """The same, carrying no gradient."""

    @abstractmethod
    def repeated(self, samples: int) -> "Scale":
        """That of so many samples of each trial, samples outside, trials inside."""


class DiagonalScale(Scale):
    """A factor for each component.

    Args:
        log: its logarithm.
    """

    def __init__(self, log: Float[Tensor, "step #batch noise"]):
        self.log = log

    def apply(self, w: Float[Tensor, "step batch noise"]) -> Float[Tensor, "step batch noise"]:
        return w * self.log.exp()

    def solve(self, w: Float[Tensor, "step batch noise"]) -> Float[Tensor, "step batch noise"]:
        return w * torch.exp(-self.log)

    def log_det(self) -> Float[Tensor, "step #batch"]:
        return self.log.sum(-1)

    def square_over(self, log_unit: Float[Tensor, "*units"]) -> Float[Tensor, "step #batch"]:
        return torch.expm1(2 * (self.log - log_unit)).sum(-1)

    def detached(self) -> "DiagonalScale":
        return DiagonalScale(self.log.detach())

    def repeated(self, samples: int) -> "DiagonalScale":
        return DiagonalScale(repeated(self.log, samples))


class TriangularScale(Scale):
    r"""A lower triangular matrix, its diagonal positive.

    Args:
        root: $S$ itself.
    """

    def __init__(self, root: Float[Tensor, "step batch noise noise"]):
        self.root = root

    def apply(self, w: Float[Tensor, "step batch noise"]) -> Float[Tensor, "step batch noise"]:
        return (self.root @ w[..., None])[..., 0]

    def solve(self, w: Float[Tensor, "step batch noise"]) -> Float[Tensor, "step batch noise"]:
        return torch.linalg.solve_triangular(self.root, w[..., None], upper=False)[..., 0]

    def log_det(self) -> Float[Tensor, "step batch"]:
        return self.root.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def square_over(self, log_unit: Float[Tensor, "*units"]) -> Float[Tensor, "step batch"]:
        variance = self.root.square().sum(-1)
        return (variance * torch.exp(-2 * log_unit) - 1).sum(-1)

    def detached(self) -> "TriangularScale":
        return TriangularScale(self.root.detach())

    def repeated(self, samples: int) -> "TriangularScale":
        return TriangularScale(repeated(self.root, samples))


class PrecisionScale(Scale):
    r"""The map $S = R^{-\top}$ of a precision $R R^\top$: increments of covariance $(R R^\top)^{-1} h$.

    Args:
        root: $R$, lower triangular, its diagonal positive.
    """

    def __init__(self, root: Float[Tensor, "step batch noise noise"]):
        self.root = root

    def apply(self, w: Float[Tensor, "step batch noise"]) -> Float[Tensor, "step batch noise"]:
        return torch.linalg.solve_triangular(self.root.mT, w[..., None], upper=True)[..., 0]

    def solve(self, w: Float[Tensor, "step batch noise"]) -> Float[Tensor, "step batch noise"]:
        return (self.root.mT @ w[..., None])[..., 0]

    def log_det(self) -> Float[Tensor, "step batch"]:
        return -self.root.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def square_over(self, log_unit: Float[Tensor, "*units"]) -> Float[Tensor, "step batch"]:
        eye = torch.eye(self.root.shape[-1], dtype=self.root.dtype, device=self.root.device).expand_as(self.root)
        variance = torch.linalg.solve_triangular(self.root, eye, upper=False).square().sum(-2)
        return (variance * torch.exp(-2 * log_unit) - 1).sum(-1)

    def detached(self) -> "PrecisionScale":
        return PrecisionScale(self.root.detach())

    def repeated(self, samples: int) -> "PrecisionScale":
        return PrecisionScale(repeated(self.root, samples))


def repeated(part: Float[Tensor, "step batch *rest"], samples: int) -> Float[Tensor, "step paths *rest"]:
    """A part of each trial, for all trials under the first sample, then under the second, …; one of all trials stays one."""
    return part.repeat(1, samples, *[1] * (part.ndim - 2)) if samples > 1 and part.shape[1] > 1 else part


def times_vector(matrix: Float[Tensor, "*#batch row column"], vector: Float[Tensor, "*#batch column"]) -> Tensor:
    """A matrix times a vector, sample by sample."""
    return (matrix @ vector[..., None])[..., 0]
