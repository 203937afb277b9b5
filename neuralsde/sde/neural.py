"""Neural equations: a free drift with diagonal noise, and what the three stable families share."""

import copy
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.nn.mlp import MLP, LipSwish
from neuralsde.sde.base import AbstractSDE, Calculus, NoiseType, Time
from neuralsde.sde.chain import AbstractChainDrift
from neuralsde.sde.driven import AbstractDriven, ControlPath, StepwisePath


def with_time(t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state+1"]:
    """The time beside the state, for a net of both."""
    return torch.cat([t.expand(*z.shape[:-1], 1), z], -1)


class Neural(AbstractSDE):
    r"""A free drift and a positive diagonal diffusion, $dz_i = f_i(t, z)\,dt + g_i(t, z_i)\,dW_i$ (Itô).

    The diffusion of component $i$ reads $z_i$ alone, so that the noise commutes and solvers of higher order apply.

    Args:
        state_size: size of $z$.
        hidden_size: width of the nets.
        depth: hidden layers of the drift.
        sigma: diffusion at initialisation, about; state per square root of time.
    """

    noise = NoiseType.DIAGONAL
    calculus = Calculus.ITO

    def __init__(self, state_size: int, hidden_size: int = 64, depth: int = 1, sigma: float = 0.5):
        super().__init__()
        if sigma is None or not sigma > 0:
            raise ConfigError(f"model.dynamics.sde.sigma of {type(self).__name__} is {sigma}; give a positive number.")
        self.sigma = sigma
        self.drift_net = MLP(1 + state_size, state_size, hidden_size, depth, LipSwish)
        # One small net per component, as one grouped product: (t, z_i) to 8 hidden units to one number.
        self.inner = nn.Parameter(torch.randn(state_size, 8, 2) / 2)
        self.bias = nn.Parameter(torch.zeros(state_size, 8))
        self.outer = nn.Parameter(torch.randn(state_size, 8) / 8)

    def drift(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        first, rest = self.drift_net.parts()
        # The first layer of (t, z) without putting the two together: time is often the same for all samples.
        hidden = nn.functional.linear(z, first.weight[:, 1:]) + (t * first.weight[:, 0] + first.bias)
        for layer in rest:
            hidden = layer(hidden)
        return hidden

    def diffusion(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        return 2 * self.sigma * torch.sigmoid((self.outer * self._activity(t, z)).sum(-1))

    def _activity(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state 8"]:
        """Of the hidden units of each component's small net."""
        return torch.tanh(self.inner[..., 1] * z.unsqueeze(-1) + (self.inner[..., 0] * t.unsqueeze(-1) + self.bias))

    def diffusion_with_slope(
        self, t: Time, z: Float[Tensor, "*batch state"]
    ) -> tuple[Float[Tensor, "*batch state"], Float[Tensor, "*batch state"]]:
        active = self._activity(t, z)
        share = torch.sigmoid((self.outer * active).sum(-1))
        inside = (self.outer * self.inner[..., 1] * (1 - active**2)).sum(-1)
        return 2 * self.sigma * share, 2 * self.sigma * share * (1 - share) * inside


class NeuralAdditive(AbstractChainDrift):
    r"""A free drift and constant learned noise, $dz = f(t, z)\,dt + \sigma\,dW$, elementwise.

    Args:
        state_size: size of $z$.
        hidden_size: width of the net.
        depth: hidden layers of the drift.
        sigma: $\sigma$ at initialisation, state per square root of time.
        activation: makes the activation of the drift.
    """

    noise = NoiseType.ADDITIVE
    calculus = Calculus.ITO

    def __init__(
        self,
        state_size: int,
        hidden_size: int = 64,
        depth: int = 1,
        sigma: float = 0.5,
        activation: Callable[[], nn.Module] = LipSwish,
    ):
        super().__init__()
        self.drift_net = MLP(1 + state_size, state_size, hidden_size, depth, activation)
        self.log_sigma = nn.Parameter(torch.full((state_size,), math.log(sigma)))

    def drift(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        return self.drift_net(with_time(t, z))

    def diffusion(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        return self.log_sigma.exp().expand_as(z)

    def entry(self) -> Float[Tensor, "hidden state"]:
        return self.drift_net.parts()[0].weight[:, 1:]

    def offset(self, t: Time) -> Float[Tensor, "*#batch hidden"]:
        first = self.drift_net.parts()[0]
        return t * first.weight[:, 0] + first.bias

    def tail(self) -> list[nn.Module]:
        return self.drift_net.parts()[1]


class Multiplied(NamedTuple):
    """The affine maps before the first activation of a stable neural equation, multiplied out for one solve.

    Args:
        by_state: of the state, (hidden, state).
        still: what is always added, (hidden,).
        by_time: of the time, (hidden,), where it is read.
        led: the control path, led through its maps.
    """

    by_state: Float[Tensor, "hidden state"]
    still: Float[Tensor, " hidden"]
    by_time: Float[Tensor, " hidden"] | None
    led: ControlPath

    def offset(self, t: Time) -> Float[Tensor, "*#batch hidden"]:
        """What does not depend on the state."""
        offset = self.still if self.by_time is None else self.still + t * self.by_time
        return offset + self.led(t)


class AbstractStableNeural(AbstractDriven):
    r"""What the three stable families share: the nets $\gamma$ and $\sigma$, and an embedding $\bar z$ of observations.

    $$\bar z = \zeta([A (t, z);\; B X(t)]), \qquad \gamma = \text{MLP}(\bar z), \qquad \sigma(t) = \text{MLP}(t)$$

    with affine $\zeta$, $A$, $B$; without a control path $X$ the embedding is that of $(t, z)$ alone. The LSDE's drift
    reads no time. This is the families' theory form; the form of the published runs is a model of its own.

    The theory form can still explode at a coarse step, as any net of unbounded growth can. With `sigma` given the nets are
    held: with $y$ the unconstrained coordinates of the state,

    $$\gamma = b \tanh\bigl((\text{MLP}(\zeta(t, y)) - y) / b\bigr), \qquad \sigma(t) = s \exp(\tanh(\text{MLP}(t)))$$

    with $b$ and $s$ learned per state. A step of length $h$ then moves $y$ by at most $b h$ and its noise, and inward where the
    net says nothing; for the geometric family $y$ is $\log |z|$, so that $b h$ and a few $\sigma \sqrt h$ have to stay below
    the 80 at which single precision ends.

    Args:
        state_size: size of $z$.
        hidden_size: width of the nets.
        depth: hidden layers of $\gamma$.
        control_size: channels of $X$; 0 for none.
        sigma: $s$ at the start, per square root of unit time; None for the theory form.

    Reference: Oh, Lim, Kim, "Stable neural SDEs in analyzing irregular time series data", ICLR 2024, arXiv 2402.14989.
    """

    reads_time = True
    calculus = Calculus.ITO

    def __init__(
        self,
        state_size: int,
        hidden_size: int = 64,
        depth: int = 1,
        control_size: int = 0,
        sigma: float | None = None,
    ):
        super().__init__(control_size)
        if sigma is not None and not sigma > 0:
            raise ConfigError(
                f"model.dynamics.sde.sigma of {type(self).__name__} is {sigma}; give a positive number, or null for the theory "
                "form."
            )
        self.held = sigma is not None
        if sigma is not None:
            self.log_bound = nn.Parameter(torch.full((state_size,), math.log(2.0)))
            self.log_sigma = nn.Parameter(torch.full((state_size,), math.log(sigma)))
        self.embed_state = nn.Linear(state_size + self.reads_time, hidden_size)
        if control_size:
            self.embed_control = nn.Linear(control_size, hidden_size)
            self.mix = nn.Linear(2 * hidden_size, hidden_size)
        self.gamma_net = MLP(hidden_size, state_size, hidden_size, depth, LipSwish)
        self.sigma_net = MLP(1, state_size, hidden_size, 1, LipSwish)
        self.ready: Multiplied | None = None

    def prepared(self) -> "AbstractStableNeural":
        if not self.control_size or not isinstance(self.path, StepwisePath):
            return self
        first, width = self.gamma_net.parts()[0], len(self.mix.weight)
        by_control = first.weight @ self.mix.weight[:, width:]
        led = self.path.through(lambda x: nn.functional.linear(self.embed_control(x), by_control))
        by_state = first.weight @ self.mix.weight[:, :width]
        still = by_state @ self.embed_state.bias + first.weight @ self.mix.bias + first.bias
        by_time = by_state @ self.embed_state.weight[:, 0] if self.reads_time else None
        same = copy.copy(self)
        same.ready = Multiplied(self.entry(), still, by_time, led)
        return same

    def gamma(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        r"""$\gamma(t, \bar z)$.

        Raises:
            ConfigError: the equation expects a control path and has none, or the reverse.
        """
        y = self.coordinates(z) if self.held else z
        if self.ready is None:
            embedding = self.embed_state(with_time(t, y) if self.reads_time else y)
            control = self._control(t)
            if control is not None:
                embedding = self.mix(torch.cat([embedding, control.expand_as(embedding)], -1))
            gamma = self.gamma_net(embedding)
        else:
            gamma = nn.functional.linear(y, self.ready.by_state) + self.ready.offset(t)
            for layer in self.gamma_net.parts()[1]:
                gamma = layer(gamma)
        if not self.held:
            return gamma
        bound = self.log_bound.exp()
        return bound * torch.tanh((gamma - y) / bound)

    def sigma(self, clock: Float[Tensor, "*#batch 1"]) -> Float[Tensor, "*#batch state"]:
        r"""$\sigma$ at times `clock`."""
        sigma = self.sigma_net(clock)
        return (self.log_sigma + torch.tanh(sigma)).exp() if self.held else sigma

    def _control(self, t: Time) -> Tensor | None:
        control = self.control(t)
        return None if control is None else self.embed_control(control)

    # The same net as a chain: the linear maps before the first activation, multiplied out.

    def entry(self) -> Float[Tensor, "hidden state"]:
        weight = self.embed_state.weight[:, int(self.reads_time) :]
        if self.control_size:
            weight = self.mix.weight[:, : len(weight)] @ weight
        return self.gamma_net.parts()[0].weight @ weight

    def offset(self, t: Time) -> Float[Tensor, "*#batch hidden"]:
        embedding = self.embed_state.bias
        if self.reads_time:
            embedding = embedding + t * self.embed_state.weight[:, 0]
        control = self._control(t)
        if control is not None:
            embedding = self.mix(torch.cat(torch.broadcast_tensors(embedding, control), -1))
        return self.gamma_net.parts()[0](embedding.expand(*t.shape[:-1], -1) if control is None else embedding)

    def tail(self) -> list[nn.Module]:
        # Held nets are no chain: the state enters them twice.
        return [] if self.held else self.gamma_net.parts()[1]
