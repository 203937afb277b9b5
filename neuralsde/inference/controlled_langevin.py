import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.inference.path import LatentPath, sample_standard

STABLE = 1.9  # largest frequency times step; BAOAB explodes from 2 on


class ControlledLangevin(nn.Module):
    r"""Underdamped Langevin dynamics in normal modes, steered at every bin by what the encoder saw.

    The prior is a bank of damped oscillators at unit stationary variance: with velocity $v = \dot x / \omega$,

    $$\mathrm dx = \omega v\,\mathrm dt, \qquad
      \mathrm dv = (-\gamma v - \omega x)\,\mathrm dt + \sqrt{2\gamma}\,\mathrm dW .$$

    Any coupled quadratic potential is such a bank in its normal modes, and the decoder's first linear layer is free to
    mix them back. The posterior adds $\sqrt{2\gamma}\,w$ to the velocity's drift, with a control that pulls towards what
    the context $c$ proposes, $w = k_x(c)\,(m(c) - x) - k_v(c)\,v$: affine in the state, as the exact posterior control is
    where prior and likelihood are linear-Gaussian.

    Each bin is one BAOAB step (kick, drift, exact Ornstein–Uhlenbeck, drift, kick). The control enters in the O step,
    where the noise does: anywhere else the chain's posterior would be singular to its prior. Its cost is exact for the
    chain, $\mathrm{KL} = \tfrac12 |w|^2 h \tanh(\gamma h/2) / (\gamma h/2)$ per step.

    Args:
        context_size: channels of the encoder's context.
        modes: oscillators; the latent has two channels for each (position, velocity).
        bin_width_s: bin width $h$, in seconds.
        friction_per_s: friction $\gamma$ at the start, per second; learned per mode.
        frequency_hz: lowest and highest $\omega / 2\pi$ at the start, spread evenly on a log scale; learned per mode, and
            held where one step can follow it ($\omega h \le 1.9$).
        initial_log_var: offset of the initial posterior's log-variances, so that paths start out informative.

    Reference: Song et al., 2025, arXiv:2507.11531 (the dynamics); Leimkuhler & Matthews, 2013 (BAOAB); Li et al.,
    *Scalable gradients for stochastic differential equations*, 2020, arXiv:2001.01328 (the control's KL).
    """

    def __init__(
        self,
        context_size: int,
        modes: int,
        bin_width_s: float,
        friction_per_s: float = 2.0,
        frequency_hz: Sequence[float] = (0.4, 3.0),
        initial_log_var: float = -2.0,
    ):
        super().__init__()
        if modes < 1 or friction_per_s <= 0 or len(frequency_hz) != 2 or min(frequency_hz) <= 0:
            raise ConfigError(
                f"model.dynamics got modes={modes}, friction_per_s={friction_per_s}, frequency_hz={list(frequency_hz)}; give "
                "at least one mode, a positive friction and two positive frequencies."
            )
        if 2 * math.pi * max(frequency_hz) * bin_width_s > STABLE:
            raise ConfigError(
                f"model.dynamics.frequency_hz goes up to {max(frequency_hz)} Hz, which one step of {bin_width_s} s cannot "
                f"follow (stable up to {STABLE / (2 * math.pi * bin_width_s):.3g} Hz): lower it or narrow the bins."
            )
        self.step, self.initial_log_var = bin_width_s, initial_log_var
        self.log_friction = nn.Parameter(torch.full((modes,), math.log(friction_per_s)))
        low, high = (math.log(2 * math.pi * f) for f in frequency_hz)
        self.log_frequency = nn.Parameter(torch.linspace(low, high, modes))
        self.initial = nn.Linear(context_size, 4 * modes)
        self.target = nn.Linear(context_size, modes)
        self.gains = nn.Linear(context_size, 2 * modes)
        nn.init.zeros_(self.gains.weight)
        self.output_size = 2 * modes

    def forward(self, context: Float[Tensor, "batch bin context"]) -> LatentPath:
        mean_x, log_var_x, mean_v, log_var_v = self.initial(context[:, 0]).chunk(4, dim=1)
        x, kl_x = sample_standard(mean_x, log_var_x + self.initial_log_var)
        v, kl_v = sample_standard(mean_v, log_var_v + self.initial_log_var)
        target = self.target(context)
        gain_x, gain_v = nn.functional.softplus(self.gains(context)).chunk(2, dim=2)
        friction, kick = self.log_friction.exp(), 0.5 * self.step * self.log_frequency.exp().clamp(max=STABLE / self.step)
        decay = torch.exp(-friction * self.step)
        push = (1 - decay) * torch.sqrt(2 / friction)  # of a control that is constant over the step
        noise = torch.sqrt(1 - decay**2) * torch.randn_like(target)
        states, controls = [torch.cat([x, v], 1)], []
        for bin in range(1, context.shape[1]):
            v = torch.addcmul(v, kick, x, value=-1)
            x = torch.addcmul(x, kick, v)
            control = gain_x[:, bin] * (target[:, bin] - x) - gain_v[:, bin] * v
            v = decay * v + push * control + noise[:, bin]
            x = torch.addcmul(x, kick, v)
            v = torch.addcmul(v, kick, x, value=-1)
            states.append(torch.cat([x, v], 1)), controls.append(control)
        half = friction * self.step / 2
        cost = 0.5 * self.step * torch.tanh(half) / half
        kl_path = (torch.stack(controls, 1).square() * cost).sum((1, 2))
        return LatentPath(torch.stack(states, 1), {"kl_initial": kl_x + kl_v, "kl_path": kl_path})
