import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.nn.curves.base import AbstractCurves, Curve, gathered, interval_of, zero_rows
from neuralsde.nn.local_context import Context
from neuralsde.nn.mlp import MLP


class AttentionCurves(AbstractCurves):
    r"""A net of the context at time $t$, an average over bins by softmax attention to their times $\tau_k$:

    $$c(t) = \sum_k \mathrm{softmax}_k\Bigl(-\frac{(t - \tau_k)^2}{\ell^2}\Bigr) c_k, \qquad
      \text{curves} = \mathrm{MLP}(c(t)),$$

    with the length $\ell$ learned, from half the trial's mean step on, and at most one step, so that the `window` nearest bins
    are all that have weight. (The published form attends to all bins, at regular times.) Derivatives are by differentiation.

    Args:
        context_size: channels of the context.
        channels: curves.
        bends: see `AbstractCurves`.
        hidden_size: units of each hidden layer.
        depth: hidden layers.
        window: bins attended to, an even number.

    Raises:
        ConfigError: the window is no even number of at least 2.

    Reference: Bartosh, Vetrov, Naesseth, *SDE matching*, 2025, arXiv:2502.02472 (official notebook).
    """

    def __init__(
        self,
        context_size: int,
        channels: int,
        bends: bool = False,
        hidden_size: int = 100,
        depth: int = 2,
        window: int = 8,
    ):
        super().__init__(context_size, channels, bends)
        if type(window) is not int or window < 2 or window % 2:
            raise ConfigError(f"model.dynamics.curves.window is {window}; give an even number of at least 2, such as 8.")
        self.net = MLP(context_size, channels, hidden_size, depth, nn.SiLU)
        self.sharpness = nn.Parameter(torch.tensor(math.log(math.expm1(3.0))))  # so that 1 + softplus is 4, a length of 1/2
        self.window, self.reach = window, window // 2

    def start_at_zero(self, first: int) -> None:
        last = self.net[-1]
        assert isinstance(last, nn.Linear)
        zero_rows(last, first)

    def forward(
        self,
        context: Context,
        clock: Float[Tensor, "#batch bin"],
        t: Float[Tensor, "#batch point"],
    ) -> Curve:
        half = self.window // 2
        index = interval_of(clock, t)[..., None] + torch.arange(1 - half, 1 + half, device=t.device)
        inside = (index >= 0) & (index < clock.shape[1])
        index = index.clamp(0, clock.shape[1] - 1)
        step = (clock[:, -1:] - clock[:, :1]) / (clock.shape[1] - 1)
        keys, values = gathered(clock, index), gathered(context, index)
        sharpness = 1 + nn.functional.softplus(self.sharpness)

        def curve(s: Float[Tensor, "batch point"]) -> Float[Tensor, "batch point channel"]:
            away = ((s[..., None] - keys) / step[..., None]).square()
            weights = torch.softmax((-sharpness * away).masked_fill(~inside, -math.inf), -1)
            return self.net((weights[..., None] * values).sum(2))

        return differentiated(curve, t.expand(len(values), -1).contiguous(), self.bends)


def differentiated(curve: Callable[[Tensor], Tensor], t: Float[Tensor, "batch point"], bends: bool) -> Curve:
    """A curve whose points do not depend on each other's times, with its derivatives by forward differentiation."""

    def with_slope(s: Tensor) -> tuple[Tensor, Tensor]:
        value, slope = torch.func.jvp(curve, (s,), (torch.ones_like(s),))[:2]
        return value, slope

    if not bends:
        value, slope = with_slope(t)
        return Curve(value, slope, torch.zeros_like(slope))
    (value, slope), (_, bend) = torch.func.jvp(with_slope, (t,), (torch.ones_like(t),))[:2]
    return Curve(value, slope, bend)
