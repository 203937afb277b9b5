"""Equations along a control path."""

import copy
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from torch import Tensor

from neuralsde.errors import ConfigError
from neuralsde.sde.base import AbstractSDE, Time

ControlPath = Callable[[Tensor], Tensor]  # X(t): times (*batch, 1) to values (*batch, control)


@runtime_checkable
class StepwisePath(Protocol):
    """A control path of constant pieces: what is computed from its value at a time alone is computed once for each piece."""

    def __call__(self, t: Time) -> Tensor: ...

    def through(self, net: Callable[[Tensor], Tensor]) -> ControlPath:
        """The path of what `net` makes of the values."""
        ...


class AbstractDriven(AbstractSDE):
    r"""$dz = f(t, z, X(t))\,dt + g(t, z)\,dW$ along a control path $X$, which is given for each solve.

    Args:
        control_size: channels of $X$; 0 for none.
    """

    def __init__(self, control_size: int):
        super().__init__()
        self.control_size = control_size
        self.path: ControlPath | None = None

    def driven_by(self, path: ControlPath) -> "AbstractDriven":
        """The same equation, with the same parameters, along the control path $X$."""
        driven = copy.copy(self)
        driven.path = path
        return driven

    def control(self, t: Time) -> Tensor | None:
        """$X(t)$; None of an equation without a control path.

        Raises:
            ConfigError: the equation expects a control path and has none, or the reverse.
        """
        if bool(self.control_size) != (self.path is not None):
            given = "none was given" if self.path is None else "one was given"
            raise ConfigError(f"The equation expects {self.control_size} control channels, but {given} by driven_by.")
        return None if self.path is None else self.path(t)
