"""Drifts that are one net of the state, which the fused Euler loop knows how to run and to differentiate."""

import abc

from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.sde.base import AbstractSDE, Time


class AbstractChainDrift(AbstractSDE):
    r"""A drift of the form $f(t, z) = \mathrm{tail}(A z + c(t))$; time, control and context enter through $c$ alone.

    `drift` computes the same, step by step.
    """

    @abc.abstractmethod
    def entry(self) -> Float[Tensor, "hidden state"]:
        """$A$."""

    @abc.abstractmethod
    def offset(self, t: Time) -> Float[Tensor, "*#batch hidden"]:
        """$c(t)$; asked for all times of a grid at once, along a leading axis."""

    @abc.abstractmethod
    def tail(self) -> list[nn.Module]:
        """An activation (elementwise, without parameters), a linear map, and so on in turn; a linear map is the last."""
