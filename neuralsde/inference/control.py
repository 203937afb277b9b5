r"""Controls: how the context steers a path.

A posterior process is its prior driven by a shifted Brownian motion, $W + \int u\,\mathrm dt$, with a control $u$ that is
constant over a step. Nothing else changes, so that every solver of this package may run it, and the divergence of what drives
the path is that of Gaussian increments: exact for the discretised process wherever a step is injective in its increment, and
no less than the path's own divergence elsewhere. Over a step of length $h$ the increment is
$\mathcal N(u h, s^2 h)$ under the posterior and $\mathcal N(0, h)$ under the prior:

$$\mathrm{KL} = \tfrac12 \bigl(|u|^2 h + s^2 - 1 - \ln s^2\bigr).$$

In continuous time $s$ must be one. At a finite step the true posterior's increments are narrower than the prior's, and a
control may say how much (`log_scale`); the bound stays a bound of the discretised process.
"""

import math
from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.noise import Outlook

Features = tuple[Tensor, ...]
Memory = Float[Tensor, "batch noise process"] | None
LARGEST_LOG_RATE = 20.0  # of a pull; it is complete in any step long before
SMALLEST_SPREAD = 1e-2  # of noise to be divided by; a pull against less would cost without bound


class Steering(nn.Module, ABC):
    """From a state, and what was planned for its step, to the drift $u$ of the Brownian motion, per square root of time."""

    @abstractmethod
    def forward(
        self, y: Float[Tensor, "batch state"], memory: Memory, *features: Float[Tensor, "..."]
    ) -> Float[Tensor, "batch noise"]:
        """$u$ in a state with unconstrained coordinates `y`.

        Args:
            y: the state.
            memory: what the noise remembers; None for Brownian motion.
            features: the part of the plan that is for the step.
        """


class Control(Steering):
    """A steering that is learned from the context.

    A config makes it from `context_size`, `state_size`, `noise_size` and `memory_size`.

    Args:
        context_size: channels of the context.
        noise_size: number of Brownian motions.
        narrows: whether the posterior's increments may be narrower than the prior's, as told by the context.
    """

    def __init__(self, context_size: int, noise_size: int, narrows: bool = True):
        super().__init__()
        self.scale = nn.Linear(context_size, noise_size) if narrows else None
        if self.scale is not None:
            nn.init.zeros_(self.scale.weight)
            nn.init.constant_(self.scale.bias, -3.0)

    def log_scale(self, context: Float[Tensor, "bin batch context"]) -> Float[Tensor, "bin batch noise"] | None:
        r"""$\ln s \le 0$, near zero at the start; None for $s = 1$."""
        return None if self.scale is None else -nn.functional.softplus(self.scale(context))

    @abstractmethod
    def plan(
        self,
        context: Float[Tensor, "bin batch context"],
        spread: Float[Tensor, "bin #batch noise"] | None,
        dt: Float[Tensor, "bin #batch 1"],
        outlook: Outlook | None = None,
    ) -> Features:
        """What the control takes from the context, for all bins at once; each part (bin, batch, ·).

        Args:
            context: of the bins that are moved into.
            spread: the diffusion in the state's unconstrained coordinates, where it does not depend on the state.
            dt: step length in each bin.
            outlook: of a noise that remembers; None for Brownian motion.
        """


class Pull(Control):
    r"""A pull to where the context wants the state, plus a net of both:

    $$u = \frac{1 - e^{-\kappa(c) h}}{g h} (m(c) - y) + N(y, c).$$

    Where the noise remembers, the target is what is left of it once the noise has run on by itself for the time $\tau$ that the
    pull takes, and the net reads the memory $Y$ too:

    $$u = \frac{(h / \tau)^{H + 1/2}}{r h} \Bigl(\frac{m(c) - y}{g} - \mathrm E[\hat B(t + \tau) - \hat B(t) \mid Y]\Bigr)
    + N(y, Y, c), \qquad h / \tau = 1 - e^{-\kappa(c) h},$$

    with $r$ what a unit of the steered increment moves the noise by. (At $\tau = h$ it ends on the target; the power is that of
    the exact control towards an observation at lead $\tau$.)

    With additive or geometric noise the first term alone moves a state without drift by the share $1 - e^{-\kappa h}$ towards
    $m$ in a step of any length $h$, never beyond. (The noise of `Neural` is taken at the origin: there it is a multiple of that
    share.) It is affine in the state, as the exact control is where prior and likelihood are linear-Gaussian. The net starts
    at zero.

    Args:
        context_size: channels of the context.
        state_size: size of the state; there are as many Brownian motions.
        noise_size: number of Brownian motions.
        hidden_size: hidden units of the net; 0 for no net.
        rate: $\kappa$ at the start, per unit time.
        narrows: see `Control`.
        memory_size: numbers that the noise remembers.

    Raises:
        ConfigError: the noise acts on other components than the state's own.
    """

    def __init__(
        self,
        context_size: int,
        state_size: int,
        noise_size: int,
        hidden_size: int = 64,
        rate: float = 0.5,
        narrows: bool = True,
        memory_size: int = 0,
    ):
        super().__init__(context_size, noise_size, narrows)
        if noise_size != state_size:
            raise ConfigError(
                f"model.dynamics.control Pull needs one Brownian motion per state, but there are {noise_size} for "
                f"{state_size} states; choose the control of the equation's own config in configs/model/dynamics."
            )
        if not rate > 0:
            raise ConfigError(f"model.dynamics.control.rate is {rate}; give a positive number, such as 0.5.")
        self.target, self.rate = nn.Linear(context_size, state_size), nn.Linear(context_size, state_size)
        nn.init.zeros_(self.rate.weight)
        nn.init.constant_(self.rate.bias, math.log(rate))
        self.from_context = nn.Linear(context_size, hidden_size) if hidden_size else None
        if hidden_size:
            self.from_state = nn.Linear(state_size + memory_size, hidden_size, bias=False)
            self.out = nn.Linear(hidden_size, noise_size)
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.out.bias)

    def plan(
        self,
        context: Float[Tensor, "bin batch context"],
        spread: Float[Tensor, "bin #batch noise"] | None,
        dt: Float[Tensor, "bin #batch 1"],
        outlook: Outlook | None = None,
    ) -> Features:
        if spread is None:
            raise ConfigError(
                "model.dynamics.control Pull divides by the diffusion, which this equation has none to divide by that is free "
                "of the state; use neuralsde.inference.BoundedControl."
            )
        least = torch.where(spread < 0, -SMALLEST_SPREAD, SMALLEST_SPREAD)
        spread = torch.where(spread.abs() < SMALLEST_SPREAD, least, spread)
        share, recalled = -torch.expm1(-self.rate(context).clamp(max=LARGEST_LOG_RATE).exp() * dt), ()
        if outlook is not None:
            ratio, share = share, outlook.share(share) / outlook.gain
            recalled = (outlook.forecast(dt / ratio) * (share / dt)[..., None],)
        gain = share / (spread * dt)
        hidden = () if self.from_context is None else (self.from_context(context),)
        return gain, gain * self.target(context), *recalled, *hidden

    def forward(
        self, y: Float[Tensor, "batch state"], memory: Memory, *features: Float[Tensor, "#batch *_"]
    ) -> Float[Tensor, "batch noise"]:
        gain, aim, *rest = features
        u = torch.addcmul(aim, gain, y, value=-1)
        if memory is not None:
            u = u - (rest[0] * memory).sum(-1)
        if self.from_context is None:
            return u
        return u + self.out(nn.functional.silu(from_both(rest[-1], self.from_state.weight, y, memory)))


class BoundedControl(Control):
    r"""A net of state and context with bounded output, zero at the start:
    $u \sqrt h = b \tanh\bigl(N(\mathrm{asinh}\,y, c) \sqrt h / b\bigr)$.

    It shifts an increment by at most $b$ of its standard deviations, in a step of any length $h$.

    For noise that grows with the state, where a control that does too would let the path explode.

    Args:
        context_size: channels of the context.
        state_size: size of the state.
        noise_size: number of Brownian motions.
        hidden_size: hidden units.
        bound: $b$.
        narrows: see `Control`.
        memory_size: numbers that the noise remembers.
    """

    def __init__(
        self,
        context_size: int,
        state_size: int,
        noise_size: int,
        hidden_size: int = 64,
        bound: float = 3.0,
        narrows: bool = True,
        memory_size: int = 0,
    ):
        super().__init__(context_size, noise_size, narrows)
        if not bound > 0:
            raise ConfigError(f"model.dynamics.control.bound is {bound}; give a positive number, such as 3.0.")
        self.bound = bound
        self.from_context = nn.Linear(context_size, hidden_size)
        self.from_state = nn.Linear(state_size + memory_size, hidden_size, bias=False)
        self.out = nn.Linear(hidden_size, noise_size)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def plan(
        self,
        context: Float[Tensor, "bin batch context"],
        spread: Float[Tensor, "bin #batch noise"] | None,
        dt: Float[Tensor, "bin #batch 1"],
        outlook: Outlook | None = None,
    ) -> Features:
        hidden = self.from_context(context)
        return hidden, (self.bound / dt.sqrt()).expand(*hidden.shape[:2], 1)

    def forward(
        self, y: Float[Tensor, "batch state"], memory: Memory, *features: Float[Tensor, "#batch *_"]
    ) -> Float[Tensor, "batch noise"]:
        shared, bound = features
        hidden = nn.functional.silu(from_both(shared, self.from_state.weight, y.asinh(), memory))
        return bound * torch.tanh(self.out(hidden) / bound)


class LangevinPull(Control):
    r"""For underdamped Langevin: a spring to a place that the context names, and a brake,
    $u = k_x(c) (m(c) - x) - k_v(c) v$, with $v$ in units of its stationary deviation.

    Affine in the state, as the exact control is where prior and likelihood are linear-Gaussian; so it is in the memory of a
    noise that remembers, with gains that start at zero.

    Args:
        context_size: channels of the context.
        state_size: positions and velocities together.
        noise_size: number of Brownian motions, half the state.
        narrows: see `Control`.
        memory_size: numbers that the noise remembers.

    Raises:
        ConfigError: the noise is not one per velocity.
    """

    def __init__(self, context_size: int, state_size: int, noise_size: int, narrows: bool = True, memory_size: int = 0):
        super().__init__(context_size, noise_size, narrows)
        if state_size != 2 * noise_size:
            raise ConfigError(
                f"model.dynamics.control LangevinPull steers positions through their velocities, but there are {noise_size} "
                f"Brownian motions for {state_size} states; use neuralsde.inference.Pull."
            )
        self.target, self.gains = nn.Linear(context_size, noise_size), nn.Linear(context_size, state_size)
        nn.init.zeros_(self.gains.weight)
        self.recall = nn.Linear(context_size, memory_size) if memory_size else None
        if self.recall is not None:
            nn.init.zeros_(self.recall.weight)
            nn.init.zeros_(self.recall.bias)

    def plan(
        self,
        context: Float[Tensor, "bin batch context"],
        spread: Float[Tensor, "bin #batch noise"] | None,
        dt: Float[Tensor, "bin #batch 1"],
        outlook: Outlook | None = None,
    ) -> Features:
        gains = nn.functional.softplus(self.gains(context))
        recalled = () if self.recall is None else (self.recall(context),)
        return gains, gains[..., : gains.shape[-1] // 2] * self.target(context), *recalled

    def forward(
        self, y: Float[Tensor, "*#batch state"], memory: Memory, *features: Float[Tensor, "..."]
    ) -> Float[Tensor, "*batch noise"]:
        gains, aim, *recalled = features
        u = aim - (gains * y).unflatten(-1, (2, -1)).sum(-2)
        return u if memory is None else u - (recalled[0].view_as(memory) * memory).sum(-1)


class NoControl(Control):
    """For posteriors that are known without: learns nothing."""

    def __init__(self, context_size: int, state_size: int, noise_size: int, memory_size: int = 0):
        super().__init__(context_size, noise_size, narrows=False)
        self.noise_size = noise_size

    def plan(
        self,
        context: Float[Tensor, "bin batch context"],
        spread: Float[Tensor, "bin #batch noise"] | None,
        dt: Float[Tensor, "bin #batch 1"],
        outlook: Outlook | None = None,
    ) -> Features:
        return (context[..., :0],)

    def forward(
        self, y: Float[Tensor, "batch state"], memory: Memory, *features: Float[Tensor, "#batch *_"]
    ) -> Float[Tensor, "batch noise"]:
        return y.new_zeros(len(y), self.noise_size)


def from_both(
    shared: Float[Tensor, "batch hidden"],
    weight: Float[Tensor, "hidden input"],
    y: Float[Tensor, "batch state"],
    memory: Memory,
) -> Float[Tensor, "batch hidden"]:
    """`shared` plus a linear map of the state and of what the noise remembers."""
    hidden = torch.addmm(shared, y, weight[:, : y.shape[1]].t())
    return hidden if memory is None else torch.addmm(hidden, memory.flatten(1), weight[:, y.shape[1] :].t())
