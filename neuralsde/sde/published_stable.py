r"""The three stable families as the published experiments ran them: bounded drift, bounded noise, raw time.

$$\begin{aligned}
u &= A\,[\sin t, \cos t, z] \ \text{(LNSDE, GSDE)}, \qquad u = A z \ \text{(LSDE)}, \qquad \zeta = C\,[u, B X(t)] \\
m &= W_n\,\mathrm{relu}(W_{n-1} \cdots \mathrm{relu}(\zeta)), \qquad
s(t) = \mathrm{relu}(\mathrm{Linear}(\mathrm{relu}(\mathrm{Linear}([\sin t, \cos t])))) \\
f &= \tanh(m) \ \text{(LSDE, LNSDE)}, \qquad f = \tanh(m\,\tanh z) \ \text{(GSDE)} \\
g &= \tanh(\mathrm{sigmoid}(\theta)\,s(t)) \ \text{(LSDE)}, \qquad
g = \tanh(\mathrm{sigmoid}(\theta)\,s(t)\,z) \ \text{(LNSDE, GSDE)}
\end{aligned}$$

These keep numbers in range rather than solve the equations of the theory, which `LangevinType`, `LinearNoise` and `Geometric`
do.

Reference: Oh, Lim, Kim, "Stable neural SDEs in analyzing irregular time series data", ICLR 2024, arXiv 2402.14989; its code.
"""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.nn.mlp import MLP
from neuralsde.sde.base import Calculus, NoiseType, Time
from neuralsde.sde.driven import AbstractDriven


def waves(t: Time) -> Float[Tensor, "*#batch 2"]:
    """$[\\sin t, \\cos t]$."""
    t = t[None] if t.ndim == 0 else t
    return torch.cat([t.sin(), t.cos()], -1)


class AbstractPublishedStable(AbstractDriven):
    """What the three share; see the module. A subclass says whether its drift reads time.

    Args:
        state_size: size of $z$, and of all hidden layers.
        control_size: channels of $X$.
        depth: $n$, layers of $m$ behind $\\zeta$.

    Raises:
        ConfigError: `depth` is below 1.
    """

    reads_time: ClassVar[bool]
    calculus = Calculus.ITO
    gate: str | None = None

    def __init__(self, state_size: int, control_size: int, depth: int = 2):
        super().__init__(control_size)
        if type(depth) is not int or depth < 1:
            raise ConfigError(f"model.dynamics.sde.depth is {depth}; give a whole number of at least 1.")
        self.embed_state = nn.Linear(state_size + 2 * self.reads_time, state_size)
        self.embed_control = nn.Linear(control_size, state_size)
        self.mix = nn.Linear(2 * state_size, state_size)
        self.hidden = nn.ModuleList(nn.Linear(state_size, state_size) for _ in range(depth))
        self.noise_net = MLP(2, state_size, state_size, 1, nn.ReLU)
        self.theta = nn.Parameter(torch.ones(1))

    def move(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        """$m$."""
        read = torch.cat([waves(t).expand(*z.shape[:-1], 2), z], -1) if self.reads_time else z
        control = self.control(t)
        assert control is not None
        m = self.mix(torch.cat([self.embed_state(read), self.embed_control(control).expand_as(z)], -1))
        for layer in self.hidden:
            m = layer(m.relu())
        return m

    def volatility(self, t: Time) -> Float[Tensor, "*#batch state"]:
        r"""$\mathrm{sigmoid}(\theta)\,s(t)$."""
        return torch.sigmoid(self.theta) * self.noise_net(waves(t)).relu()

    def drift(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        return torch.tanh(self.move(t, z))

    # The same net as a chain: what leads to its first activation is affine in state and control, and is multiplied out.

    def entry(self) -> Float[Tensor, "hidden state"]:
        """What multiplies $z$ in $\\zeta$."""
        return self.mix.weight[:, : len(self.mix.weight)] @ self.embed_state.weight[:, 2 * self.reads_time :]

    def control_entry(self) -> Float[Tensor, "hidden control"]:
        """What multiplies $X$ in $\\zeta$."""
        return self.mix.weight[:, len(self.mix.weight) :] @ self.embed_control.weight

    def offset(self, t: Float[Tensor, "*batch 1"]) -> Float[Tensor, "*batch hidden"]:
        """What else there is in $\\zeta$, which depends on time alone."""
        state = self.embed_state.bias
        if self.reads_time:
            state = state + waves(t) @ self.embed_state.weight[:, :2].t()
        return self.mix(torch.cat([state.expand(*t.shape[:-1], -1), self.embed_control.bias.expand(*t.shape[:-1], -1)], -1))


class PublishedLangevinType(AbstractPublishedStable):
    """Neural LSDE as published: additive noise."""

    reads_time = False
    noise = NoiseType.ADDITIVE

    def diffusion(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        return torch.tanh(self.volatility(t)).expand_as(z)


class PublishedLinearNoise(AbstractPublishedStable):
    """Neural LNSDE as published: noise of about the state's size, up to 1."""

    reads_time = True
    noise = NoiseType.DIAGONAL

    def diffusion(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        return torch.tanh(self.volatility(t) * z)


class PublishedGeometric(PublishedLinearNoise):
    r"""Neural GSDE as published: the drift is gated by the state.

    Args:
        state_size: as the base class, as `control_size` and `depth`.
        gate: `tanh` ($m \tanh z$, the code since November 2024) or `one_minus_sigmoid` ($m (1 - \mathrm{sigmoid}(z))$, the code
            of the paper).

    Raises:
        ConfigError: there is no such gate.
    """

    def __init__(self, state_size: int, control_size: int, depth: int = 2, gate: str = "tanh"):
        super().__init__(state_size, control_size, depth)
        if gate not in ("tanh", "one_minus_sigmoid"):
            raise ConfigError(f"model.dynamics.sde.gate is {gate!r}; choose tanh or one_minus_sigmoid.")
        self.gate: str = gate

    def move(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        return super().move(t, z) * (torch.tanh(z) if self.gate == "tanh" else torch.sigmoid(-z))
