"""The stable neural SDEs' published recipe, written for torchsde's public interface: a vector field that evaluates a cubic
spline and its nets of time for the whole batch at each step, Euler steps, plain backpropagation."""

import torch
import torchsde
from torch import Tensor, nn

FAMILIES = ("lsde", "lnsde", "gsde")


class CubicSpline:
    r"""$X(t) = a_k + u\,(b_k + u\,(c_k + u\,d_k))$ with $u = t - t_k$ in the interval $k$ of $t$.

    Args:
        times: of the knots, (row,).
        pieces: $a, b, c, d$ side by side, (batch, row - 1, 4 channel).
    """

    def __init__(self, times: Tensor, pieces: Tensor):
        self.times, self.pieces = times, pieces.chunk(4, -1)

    def __call__(self, t: Tensor) -> Tensor:
        k = (torch.bucketize(t, self.times) - 1).clamp(0, len(self.times) - 2)
        u = t - self.times[k]
        a, b, c, d = (piece[:, k] for piece in self.pieces)
        return a + u * (b + u * (c + u * d))


class StableRecipe(nn.Module):
    """Oh, Lim, Kim 2024, arXiv:2402.14989, section on implementation, in the form that its experiments ran.

    Args:
        family: one of `FAMILIES`.
        channels: of the control.
        size: of the state and of all layers.
        depth: layers behind the mix of state and control.
    """

    noise_type, sde_type = "diagonal", "ito"

    def __init__(self, family: str, channels: int, size: int, depth: int):
        super().__init__()
        self.family, self.reads_time = family, family != "lsde"
        self.start = nn.Linear(channels, size)
        self.embed_control, self.embed_state = nn.Linear(channels, size), nn.Linear(size + 2 * self.reads_time, size)
        self.mix, self.hidden = nn.Linear(2 * size, size), nn.ModuleList(nn.Linear(size, size) for _ in range(depth))
        self.noise_net = nn.Sequential(nn.Linear(2, size), nn.ReLU(), nn.Linear(size, size))
        self.theta = nn.Parameter(torch.ones(1, 1))
        self.path: CubicSpline

    def f(self, t: Tensor, y: Tensor) -> Tensor:
        control = self.embed_control(self.path(t))
        read = torch.cat([waves(t, y), y], 1) if self.reads_time else y
        m = self.mix(torch.cat([self.embed_state(read), control], 1))
        for layer in self.hidden:
            m = layer(m.relu())
        return torch.tanh(m * y.tanh() if self.family == "gsde" else m)

    def g(self, t: Tensor, y: Tensor) -> Tensor:
        s = self.noise_net(waves(t, y)).relu()
        return torch.tanh(self.theta.sigmoid() * torch.nan_to_num(s if self.family == "lsde" else s * y))

    def states(self, times: Tensor, pieces: Tensor, tuned: bool = False) -> Tensor:
        """At all times, (row, batch, state); `tuned` tells the Brownian motion its step and lets it forget nothing."""
        self.path, dt = CubicSpline(times, pieces), times.diff().min().item()
        z0 = self.start(self.path(times[0]))
        bm = None
        if tuned:
            bm = torchsde.BrownianInterval(times[0], times[-1], size=z0.shape, dt=dt, cache_size=None)
        states = torchsde.sdeint(self, z0, times, bm=bm, method="euler", dt=dt)
        assert isinstance(states, Tensor)
        return states


def waves(t: Tensor, y: Tensor) -> Tensor:
    """$[\\sin t, \\cos t]$ for each sample."""
    t = torch.full_like(y[:, :1], t.item())
    return torch.cat([t.sin(), t.cos()], 1)


class StableForecaster(nn.Module):
    """The recipe's read-out of forecasts: from the last ten states, (batch, row, state)."""

    def __init__(self, size: int, channels: int):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(size, size), nn.ReLU(), nn.Linear(size, channels))

    def forward(self, states: Tensor) -> Tensor:
        return self.net(states[:, -10:])


class StableClassifier(nn.Module):
    """The recipe's read-out of classes: a net on every state, then one on what it made of the last."""

    def __init__(self, size: int, classes: int):
        super().__init__()
        self.each = nn.Sequential(nn.Tanh(), nn.Linear(size, size), nn.ReLU(), nn.Linear(size, size))
        last = nn.Linear(size, size), nn.BatchNorm1d(size), nn.ReLU(), nn.Dropout(0.1), nn.Linear(size, classes)
        self.last = nn.Sequential(*last)

    def forward(self, states: Tensor) -> Tensor:
        return self.last(self.each(states)[:, -1])
