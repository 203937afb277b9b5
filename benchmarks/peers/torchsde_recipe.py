"""The latent SDE of torchsde's own example, written for its public interface: a free posterior drift beside the prior's,
Euler steps of 0.01 with the path divergence by `logqp`, fixed observation noise, a divergence that ramps up."""

import torch
import torchsde
from torch import Tensor, nn

from neuralsde.sde import Neural

RAMP, DECAY, RATE, STEP = 1000, 0.997, 1e-2, 0.01  # iterations, per iteration, learning rate, time


class TorchsdeRecipe(nn.Module):
    """Li et al. 2020, arXiv:2001.01328, as in the example `latent_sde_lorenz` of torchsde.

    Args:
        channels: observed channels.
        latent: size of the state.
        context: channels of the context.
        hidden: width of every net.
        noise_std: of the observations, fixed.
    """

    noise_type, sde_type = "diagonal", "ito"

    def __init__(self, channels: int, latent: int, context: int, hidden: int, noise_std: float):
        super().__init__()
        self.prior = Neural(latent, hidden, depth=2)
        self.encoder, self.to_context = nn.GRU(channels, hidden), nn.Linear(hidden, context)
        self.initial = nn.Linear(context, 2 * latent)
        layers = nn.Linear(latent + context, hidden), nn.Softplus(), nn.Linear(hidden, hidden), nn.Softplus()
        self.posterior_drift = nn.Sequential(*layers, nn.Linear(hidden, latent))
        self.readout = nn.Linear(latent, channels)
        self.prior_mean, self.prior_log_std = nn.Parameter(torch.zeros(1, latent)), nn.Parameter(torch.zeros(1, latent))
        self.noise_std, self.iterations = noise_std, 0
        self.path: tuple[Tensor, Tensor] = (torch.zeros(0), torch.zeros(0))  # times, and the context at each

    def f(self, t: Tensor, y: Tensor) -> Tensor:
        times, context = self.path
        bin = min(int(torch.searchsorted(times, t, right=True)), len(times) - 1)
        return self.posterior_drift(torch.cat([y, context[bin]], 1))

    def h(self, t: Tensor, y: Tensor) -> Tensor:
        return self.prior.drift(t, y)

    def g(self, t: Tensor, y: Tensor) -> Tensor:
        return self.prior.diffusion(t, y)

    def loss(self, y: Tensor, times: Tensor) -> Tensor:
        """Of series (batch, time, channel)."""
        y = y.transpose(0, 1)
        context = self.to_context(self.encoder(y.flip(0))[0].flip(0))
        self.path = times, context
        mean, log_std = self.initial(context[0]).chunk(2, 1)
        z0 = mean + log_std.exp() * torch.randn_like(mean)
        paths, divergence = torchsde.sdeint(self, z0, times, dt=STEP, logqp=True, method="euler")
        log_prob = torch.distributions.Normal(self.readout(paths), self.noise_std).log_prob(y).sum((0, 2)).mean()
        start = (
            torch.distributions.Normal(mean, log_std.exp()),
            torch.distributions.Normal(self.prior_mean, self.prior_log_std.exp()),
        )
        kl = torch.distributions.kl_divergence(*start).sum(1).mean() + divergence.sum(0).mean()
        return min(1.0, (self.iterations + 1) / RAMP) * kl - log_prob

    def optimizer(self) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        optimizer = torch.optim.Adam(self.parameters(), RATE)
        return optimizer, torch.optim.lr_scheduler.ExponentialLR(optimizer, DECAY)

    def start(self, n: int) -> Tensor:
        """States drawn from the prior at time 0."""
        return self.prior_mean + self.prior_log_std.exp() * torch.randn(n, self.prior_mean.shape[1])
