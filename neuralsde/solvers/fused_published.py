r"""Euler–Maruyama for the published stable equations, with a backward pass written by hand.

A step is $z_{n+1} = z_n + h_n \tanh(\gamma(z_n)\,m_n) + w_n \tanh(v_n z_n)$ with $m_n$ a ReLU net of $A z_n + B X_n + c_n$. The
linear maps before the first activation are multiplied out once, for all times; the loop holds the products with the net's
matrices and little else. The backward loop carries the adjoint of the state, and takes the gradient of each matrix while what
it is made of is still in the cache. Only the net's inner values are kept in between.

The bounded functions are evaluated as $\tanh(x) = 2\,(\mathrm{sigmoid}(2x) - \frac12)$: torch's sigmoid is five times as fast
on CPUs.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

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
    noise = torch.tanh(volatility) if additive else 2 * volatility
    layers: list[Any] = [x for layer in sde.hidden for x in layer.parameters()]
    layers[-2:] = [2 * x for x in layers[-2:]]
    settings = path.dt.flatten().tolist(), every, additive, sde.gate, torch.is_grad_enabled()
    arguments = z0.reshape(-1, state), path.w.reshape(steps, -1, state), noise, control, sde.control_entry(), sde.offset(clock)
    return _FusedPublished.apply(*settings, *arguments, sde.entry(), *layers).view(-1, *z0.shape)


class _FusedPublished(torch.autograd.Function):
    r"""The loop over rows of samples. `noise` is $\tanh v_n$ of additive noise, else $2 v_n$; the last layer makes $2 m_n$."""

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
        to_entry, *to_next = (x.t() for x in (entry, *layers[::2]))
        biases, room, zero, half = layers[1::2], torch.empty_like(z0), z0.new_zeros(()), z0.new_tensor(0.5)
        z = z0.new_empty(steps + 1, *z0.shape)
        z[0] = z0
        # What the backward pass reads: what each layer reads, the bounded drift (2 m where it is gated), the bounded noise.
        first = torch.baddbmm(offset[:, None], control, by_control.t().expand(steps, -1, -1))
        kept = [z0.new_empty(steps if learning else 1, *z0.shape) for _ in range(depth + 1 - additive)]
        slots = list(zip(*(x.unbind() for x in kept), strict=True)) * (1 if learning else steps)
        given = zip(lengths, w.unbind(), noise.unbind(), first.unbind(), slots, strict=True)
        states = z.unbind()
        for y, after, (dt, dw, strength, x, slot) in zip(states, states[1:], given, strict=False):
            x.addmm_(y, to_entry).relu_()
            for bias, matrix, value in zip(biases, to_next, slot, strict=False):
                torch.addmm(bias, x, matrix, out=room)
                x = value if value is slot[depth - 1] else torch.clamp_min(room, zero, out=value)
            if gate is None:
                bounded = torch.sigmoid(room, out=x).sub_(half)
            else:
                x.copy_(room)
                bounded = room.mul_(_gate(gate, y)).sigmoid_().sub_(half)
            torch.add(y, bounded, alpha=2 * dt, out=after)
            if additive:
                after.addcmul_(dw, strength)
            else:
                torch.mul(y, strength, out=room)
                after.addcmul_(torch.sigmoid(room, out=slot[-1]).sub_(half), dw, value=2)
        ctx.settings = lengths, every, additive, gate
        if learning:
            ctx.save_for_backward(z, w, noise, control, by_control, entry, *layers[::2], first, *kept)
        return z if every == 1 else z[::every].clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        lengths, every, additive, gate = ctx.settings
        z, w, noise, control, by_control, entry, *saved = ctx.saved_tensors
        depth = (len(saved) + additive) // 2 - 1
        matrices, kept = [entry, *saved[:depth]], saved[depth:]
        to_w, to_control = (torch.empty_like(x) if ctx.needs_input_grad[k] else None for k, x in ((6, w), (8, control)))
        to_noise, to_offset = torch.empty_like(noise), z.new_empty(len(lengths), len(entry))
        to_hidden, to_matrices = torch.zeros_like(by_control.t()), [torch.zeros_like(x) for x in matrices]
        adjoint, room, *deltas = (torch.empty_like(z[0]) for _ in range(depth + 3))
        turned = [x.t() for x in deltas]
        sums, outputs = [torch.zeros_like(adjoint) for _ in range(depth)], cotangents[0].unbind()
        zero, quarter, half_steps = z.new_zeros(()), z.new_tensor(0.25), z.new_tensor(lengths).div_(2)
        adjoint.copy_(outputs[-1])
        slots = zip(*(x.unbind() for x in kept), strict=True)
        by_step = half_steps, z[:-1], w, noise, control.mT, to_noise, to_offset
        rows = list(zip(lengths, *(x.unbind() for x in by_step), slots, strict=True))
        for n in range(len(lengths) - 1, -1, -1):
            dt, half_dt, y, dw, strength, x, by_strength, by_shift, slot = rows[n]
            delta, gated = deltas[depth], None
            if gate is None:
                torch.addcmul(half_dt, slot[depth], slot[depth], value=-2 * dt, out=delta).mul_(adjoint)
            else:
                open_, slope = _gate(gate, y), _gate_slope(gate, y)
                bounded = torch.mul(slot[depth], open_, out=room).sigmoid_().sub_(2 * quarter)
                torch.addcmul(half_dt, bounded, bounded, value=-2 * dt, out=delta).mul_(adjoint)
                gated = slope.mul_(slot[depth]).mul_(delta)
                delta.mul_(open_)
            for k in range(depth, 0, -1):
                to_matrices[k].addmm_(turned[k], slot[k - 1])
                sums[k - 1].add_(delta)
                passed = torch.gt(slot[k - 1], zero, out=room)
                delta = torch.mm(delta, matrices[k], out=deltas[k - 1]).mul_(passed)
            to_matrices[0].addmm_(turned[0], y)
            to_hidden.addmm_(x, delta)
            torch.sum(delta, 0, out=by_shift)
            if to_control is not None:
                torch.mm(delta, by_control, out=to_control[n])
            if to_w is not None:
                torch.mul(adjoint, strength if additive else 2 * slot[-1], out=to_w[n])
            if additive:
                torch.sum(torch.mul(adjoint, dw, out=room), 0, out=by_strength)
                adjoint.addmm_(delta, entry)
            else:
                torch.addcmul(quarter, slot[-1], slot[-1], value=-1, out=room).mul_(dw).mul_(adjoint)
                adjoint.addmm_(delta, entry).addcmul_(room, strength, value=2)
                torch.sum(room.mul_(y), 0, out=by_strength)
            if gated is not None:
                adjoint.add_(gated)
            if n % every == 0:
                adjoint.add_(outputs[n // every])
        to_layers = [x for pair in zip(to_matrices[1:], (s.sum(0) for s in sums), strict=True) for x in pair]
        by_strength = to_noise if additive else 2 * to_noise
        inputs = adjoint, to_w, by_strength, to_control, to_hidden.t(), to_offset, to_matrices[0], *to_layers
        return None, None, None, None, None, *inputs


def _gate(gate: str, y: Tensor) -> Tensor:
    r"""$\gamma(z)$."""
    return torch.sigmoid(-y) if gate == "one_minus_sigmoid" else torch.sigmoid(2 * y).sub_(0.5).mul_(2)


def _gate_slope(gate: str, y: Tensor) -> Tensor:
    r"""$\gamma'(z)$."""
    s = torch.sigmoid(-y if gate == "one_minus_sigmoid" else 2 * y)
    return s.mul_(s - 1) if gate == "one_minus_sigmoid" else s.mul_(1 - s).mul_(4)
