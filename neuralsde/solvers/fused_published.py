r"""Euler–Maruyama for the published stable equations, with a backward pass written by hand.

A step is $z_{n+1} = z_n + h_n \tanh(\gamma(z_n)\,m_n) + w_n \tanh(v_n z_n)$ with $m_n$ a ReLU net of $A z_n + B X_n + c_n$. The
linear maps before the first activation are multiplied out once, for all times; the loop holds the products with the net's
matrices and little else. The backward loop carries the adjoint of the state, and takes the gradient of each matrix while what
it is made of is still in the cache. Only the net's inner values are kept in between.

In single precision on a CPU with a C compiler the same steps run in `kernels/euler.c` instead.

The bounded functions are evaluated as $\tanh(x) = 2\,(\mathrm{sigmoid}(2x) - \frac12)$: torch's sigmoid is five times as fast
on CPUs.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.kernels.euler import Net, Step, kernel_euler, kernel_for
from neuralsde.kernels.first_order import first_order
from neuralsde.noise import Increments
from neuralsde.sde import (
    AbstractPublishedStable,
    AbstractSDE,
    NoiseType,
    PublishedGeometric,
    PublishedLangevinType,
    PublishedLinearNoise,
)
from neuralsde.solvers.base import AbstractSolver
from neuralsde.solvers.euler_maruyama import EulerMaruyama


def is_published(sde: AbstractSDE, solver: AbstractSolver, grid: Float[Tensor, "points *#batch 1"]) -> bool:
    """Whether to use `fused_published`: Euler, one of the published equations, times shared by all samples."""
    shared = grid.numel() == len(grid) and not grid.requires_grad
    known = type(sde) in (PublishedLangevinType, PublishedLinearNoise, PublishedGeometric)  # a subclass may step otherwise
    return type(solver) is EulerMaruyama and known and shared and not torch.is_autocast_enabled(grid.device.type)


def fused_published(
    sde: AbstractPublishedStable,
    z0: Float[Tensor, "*batch state"],
    t: Float[Tensor, "points *ones 1"],
    path: Increments,
    every: int = 1,
) -> Float[Tensor, "times *batch state"]:
    """The solution at the start and after each `every` steps of `path`, with the steps of `EulerMaruyama`."""
    steps, state, clock = len(path), z0.shape[-1], t[:-1].view(-1, 1)
    control = sde.control(t[:-1])
    assert control is not None
    control = control.expand(steps, *z0.shape[:-1], -1).reshape(steps, -1, control.shape[-1])
    volatility, additive = sde.volatility(clock), sde.noise is NoiseType.ADDITIVE
    kernel = kernel_for(len(sde.hidden), z0, path.w, control, sde.theta)
    if kernel is not None:
        step = Step("relu", sde.gate or "bounded", "additive" if additive else "bounded_linear")
        layers = [(layer.weight, layer.bias) for layer in sde.hidden]
        net = Net(sde.entry(), sde.control_entry(), sde.offset(clock).unsqueeze(1), layers)
        samples = z0.reshape(-1, state), path.dt.flatten(), path.w.reshape(steps, -1, state)
        strength = torch.tanh(volatility) if additive else volatility
        return kernel_euler(kernel, step, every, *samples, strength, control, net).view(-1, *z0.shape)
    noise = torch.tanh(volatility) if additive else 2 * volatility
    layers: list[Any] = [x for layer in sde.hidden for x in layer.parameters()]
    layers[-2:] = [(4 if sde.gate == "tanh" else 2) * x for x in layers[-2:]]
    settings = path.dt.flatten().tolist(), every, additive, sde.gate, torch.is_grad_enabled()
    arguments = z0.reshape(-1, state), path.w.reshape(steps, -1, state), noise, control, sde.control_entry(), sde.offset(clock)
    return _FusedPublished.apply(*settings, *arguments, sde.entry(), *layers).view(-1, *z0.shape)


class _FusedPublished(torch.autograd.Function):
    r"""The loop over rows of samples. `noise` is $\tanh v_n$ of additive noise, else $2 v_n$; the last layer makes $2 m_n$, or
    $4 m_n$ for the gate $\tanh z$, of which `_gate` is half.

    What the backward pass reads of a step lies side by side, so that one operation serves several: what each layer reads, $m$
    where it is gated, and half of the bounded drift and, where it depends on the state, of the bounded noise.
    """

    @staticmethod
    def forward(
        ctx: Any,
        lengths: list[float],
        every: int,
        additive: bool,
        gate: str | None,
        learning: bool,
        z0: Float[Tensor, "rows state"],
        w: Float[Tensor, "steps rows state"],
        noise: Float[Tensor, "steps state"],
        control: Float[Tensor, "steps rows control"],
        by_control: Float[Tensor, "hidden control"],
        offset: Float[Tensor, "steps hidden"],
        entry: Float[Tensor, "hidden state"],
        *layers: Tensor,
    ) -> Float[Tensor, "times rows state"]:
        steps, depth = len(lengths), len(layers) // 2
        to_entry, to_hidden, *inner, to_drift = (x.t() for x in (entry, by_control, *layers[::2]))
        *biases, drift_bias = layers[1::2]
        zero, half, room = z0.new_zeros(()), z0.new_tensor(0.5), torch.empty_like(z0)
        z, bounds = z0.new_empty(steps + 1, *z0.shape), z0.new_empty(2 - additive, *z0.shape)
        z[0] = z0
        planes = depth + (gate is not None) + len(bounds)
        kept = [z0.new_empty(planes, *z0.shape) for _ in range(steps if learning else 1)]
        unbounded = planes - len(bounds)
        slots = [(x.unbind(), x[unbounded:]) for x in kept] * (1 if learning else steps)
        given = zip(lengths, w.unbind(), noise.unbind(), control.unbind(), offset.unbind(), slots, strict=True)
        states = z.unbind()
        for y, after, (dt, dw, strength, x, shift, (slot, bounded)) in zip(states, states[1:], given, strict=False):
            torch.addmm(shift, x, to_hidden, out=room).addmm_(y, to_entry)
            for bias, matrix, value in zip(biases, inner, slot, strict=False):
                torch.addmm(bias, torch.clamp_min(room, zero, out=value), matrix, out=room)
            x = torch.clamp_min(room, zero, out=slot[depth - 1])
            if gate is None:
                torch.addmm(drift_bias, x, to_drift, out=bounds[0])
            else:
                torch.mul(torch.addmm(drift_bias, x, to_drift, out=slot[depth]), _gate(gate, y, half), out=bounds[0])
            if not additive:
                torch.mul(y, strength, out=bounds[1])
            torch.sigmoid(bounds, out=bounded).sub_(half)
            torch.add(y, bounded[0], alpha=2 * dt, out=after)
            after.addcmul_(dw, strength if additive else bounded[1], value=1 if additive else 2)
        ctx.settings = lengths, every, additive, gate
        if learning:
            ctx.save_for_backward(z, w, noise, control, by_control, entry, *layers[::2], *kept)
        return z if every == 1 else z[::every].clone()

    @staticmethod
    @first_order
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        lengths, every, additive, gate = ctx.settings
        z, w, noise, control, by_control, entry, *saved = ctx.saved_tensors
        steps, outputs = len(lengths), cotangents[0].unbind()
        matrices, kept, depth = saved[:-steps], saved[-steps:], len(saved) - steps
        to_w, to_control = (torch.empty_like(x) if ctx.needs_input_grad[k] else None for k, x in ((6, w), (8, control)))
        to_hidden, to_entry = torch.zeros_like(by_control.t()), torch.zeros_like(entry)
        to_matrices, adjoint = [torch.zeros_like(x) for x in matrices], outputs[-1].clone()
        # Side by side: what came back to each layer's output, the last one's (the drift) and the noise's.
        back, masks = z.new_empty(depth + 2, *adjoint.shape), z.new_empty(depth, *adjoint.shape)
        sums, deltas, passed, drift = z.new_empty(steps, depth + 2, len(entry)), back.unbind(), masks.unbind(), back[depth]
        turned, bounds = [x.t() for x in deltas], back[depth : depth + 2 - additive]
        zero, half, half_steps = z.new_zeros(()), z.new_tensor(0.5), z.new_tensor(lengths).div_(2)
        layers = list(enumerate(matrices))[::-1]
        slots = [(x.unbind(), x[:depth], x[additive - 2 :]) for x in kept]
        given = list(zip(lengths, *(x.unbind() for x in (half_steps, z[:-1], w, noise, control.mT, sums)), slots, strict=True))
        for n in range(steps - 1, -1, -1):
            dt, half_dt, y, dw, strength, x, summed, (slot, read, bounded) = given[n]
            gated = None
            torch.addcmul(half_dt, bounded, bounded, value=-2 * dt, out=bounds).mul_(adjoint)
            if gate is not None:
                opened = _gate(gate, y, half)
                gated = _gate_slope(gate, opened, half).mul_(slot[depth]).mul_(drift)
                drift.mul_(opened)
            torch.gt(read, zero, out=masks)
            for k, matrix in layers:
                to_matrices[k].addmm_(turned[k + 1], slot[k])
                torch.mm(deltas[k + 1], matrix, out=deltas[k]).mul_(passed[k])
            to_entry.addmm_(turned[0], y)
            to_hidden.addmm_(x, deltas[0])
            if to_control is not None:
                torch.mm(deltas[0], by_control, out=to_control[n])
            if to_w is not None:
                torch.mul(adjoint, strength if additive else 2 * bounded[1], out=to_w[n])
            if additive:
                torch.mul(adjoint, dw, out=deltas[-1])
                adjoint.addmm_(deltas[0], entry)
            else:
                moved = deltas[-1].mul_(dw)
                adjoint.addmm_(deltas[0], entry).addcmul_(moved, strength, value=1 / dt)
                moved.mul_(y)
            torch.sum(back, 1, out=summed)
            if gated is not None:
                adjoint.add_(gated)
            if n % every == 0:
                adjoint.add_(outputs[n // every])
        to_offset, *to_biases, to_noise = sums.unbind(1)
        if not additive:
            to_noise = to_noise / z.new_tensor(lengths)[:, None]
        to_layers = [x for pair in zip(to_matrices, (s.sum(0) for s in to_biases), strict=True) for x in pair]
        inputs = adjoint, to_w, to_noise, to_control, to_hidden.t(), to_offset, to_entry, *to_layers
        return None, None, None, None, None, *inputs


def _gate(gate: str, z: Tensor, half: Tensor) -> Tensor:
    r"""$\frac12 \tanh z$, or $1 - \mathrm{sigmoid}(z)$."""
    return torch.neg(z).sigmoid_() if gate == "one_minus_sigmoid" else torch.mul(z, 2).sigmoid_().sub_(half)


def _gate_slope(gate: str, opened: Tensor, half: Tensor) -> Tensor:
    """Its derivative, from its value."""
    if gate == "one_minus_sigmoid":
        return torch.mul(opened, opened).sub_(opened)
    return torch.addcmul(half, opened, opened, value=-2)
