"""A linear-Gaussian latent chain written out as one joint Gaussian: what posteriors and bounds are held against."""

import torch
from torch import Tensor


class Chain:
    """Euler steps of d Ornstein–Uhlenbeck processes observed through `readout` and Gaussian noise, as one Gaussian.

    Args:
        rate, mean, sigma: of the processes, (d,).
        start_mean, start_var: of the first state, (d,).
        dt: step lengths, (steps,).
        every: steps from one observation to the next; the first state is observed.
        readout, bias, noise_std: of the observations, (channel, d), (channel,), (channel,).
        increments: covariance of the driving noise's increments per process, (d, steps, steps); of Brownian motion if None.
    """

    def __init__(self, rate, mean, sigma, start_mean, start_var, dt, every, readout, bias, noise_std, increments=None):
        d, steps = len(rate), len(dt)
        size = (steps + 1) * d
        # The path is affine in (start, increments): z = A e + b with e standard normal, or of the increments' correlation.
        a, b = torch.zeros(size, size, dtype=torch.float64), torch.zeros(size, dtype=torch.float64)
        a[:d, :d], b[:d] = torch.diag(start_var.sqrt()), start_mean
        for n in range(steps):
            now, after = slice(n * d, (n + 1) * d), slice((n + 1) * d, (n + 2) * d)
            phi = torch.diag(1 - rate * dt[n])
            a[after], b[after] = phi @ a[now], phi @ b[now] + rate * mean * dt[n]
            a[after, after] = torch.diag(sigma * dt[n].sqrt())
        correlation = torch.eye(size, dtype=torch.float64)
        if increments is not None:
            root = dt.sqrt()
            for i in range(d):
                own = torch.arange(d + i, size, d)
                correlation[own[:, None], own] = increments[i] / (root[:, None] * root)
        self.mean, self.covariance = b, a @ correlation @ a.T
        seen = [n for n in range(steps + 1) if n % every == 0]
        pick = torch.zeros(len(seen) * len(readout), size, dtype=torch.float64)
        for i, n in enumerate(seen):
            pick[i * len(readout) : (i + 1) * len(readout), n * d : (n + 1) * d] = readout
        self.pick, self.bias, self.noise_var = pick, bias.repeat(len(seen)), (noise_std**2).repeat(len(seen))

    def kept(self, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The observation model of the entries that are seen, (bin, channel) bool."""
        rows = seen.flatten()
        return self.pick[rows], self.bias[rows], self.noise_var[rows]

    def log_evidence(self, y: Tensor, seen: Tensor) -> Tensor:
        """Log-density of the seen entries of `y`, (bin, channel)."""
        pick, bias, noise = self.kept(seen)
        covariance = pick @ self.covariance @ pick.T + torch.diag(noise)
        return torch.distributions.MultivariateNormal(pick @ self.mean + bias, covariance).log_prob(y.flatten()[seen.flatten()])

    def posterior(self, y: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and covariance of the whole path, given the seen entries of `y`."""
        pick, bias, noise = self.kept(seen)
        gain = self.covariance @ pick.T @ torch.linalg.inv(pick @ self.covariance @ pick.T + torch.diag(noise))
        mean = self.mean + gain @ (y.flatten()[seen.flatten()] - pick @ self.mean - bias)
        return mean, self.covariance - gain @ pick @ self.covariance
