"""Euler–Maruyama for a drift that is one net, with a backward pass written by hand.

A plain loop under autograd records every small operation and adds up a weight gradient per step. Here the forward
loop writes into arrays over all times; the backward loop carries only the adjoint of the state, two products per
layer and step; and the gradient of each weight is then one product over all times and samples together. What depends
on time alone (noise, offsets of the first layer) is computed before the loop, for all times at once, and receives its
gradient through ordinary autograd.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.noise import Increments
from neuralsde.sde import AbstractChainDrift, AbstractLinearNoise, AbstractSDE, NoiseType, noise_term
from neuralsde.solvers.base import AbstractSolver
from neuralsde.solvers.euler_maruyama import EulerMaruyama

Activation = Callable[[Tensor], Tensor]


def fusable(sde: AbstractSDE, solver: AbstractSolver, grid: Float[Tensor, "points *#batch 1"]) -> bool:
    """Whether `fused_euler` solves the equation: Euler, a chain as drift, additive or linear noise, shared times."""
    known_noise = sde.noise is NoiseType.ADDITIVE or isinstance(sde, AbstractLinearNoise)
    shared = grid.numel() == len(grid) and not grid.requires_grad
    chain = isinstance(sde, AbstractChainDrift) and bool(sde.tail())
    return type(solver) is EulerMaruyama and chain and known_noise and shared


def fused_euler(
    sde: AbstractChainDrift, z0: Float[Tensor, "*batch state"], t: Float[Tensor, "points *ones 1"], path: Increments
) -> Float[Tensor, "points *batch state"]:
    """The solution at every step of `path`, with the steps of `EulerMaruyama`."""
    steps, state = len(path), z0.shape[-1]
    any_state = z0.new_ones(steps, 1, state)  # the coefficient of the noise reads none
    t, dt = t[:-1].view(-1, 1, 1), path.dt.view(-1, 1, 1)
    w = path.w.view(steps, -1, path.w.shape[-1])
    linear = isinstance(sde, AbstractLinearNoise)
    noise = noise_term(sde.volatility(t, any_state) if linear else sde.diffusion(t, any_state), w)
    layers: list[Any] = sde.tail()
    weights = [x for layer in layers[1::2] for x in (layer.weight, layer.bias)]
    factor, addend = (noise, torch.zeros_like(noise)) if linear else (None, noise)
    lengths = dt.flatten().tolist()
    arguments = z0.reshape(-1, state), sde.offset(t), factor, addend, sde.entry(), *weights
    return _FusedEuler.apply(layers[::2], lengths, *arguments).view(steps + 1, *z0.shape)


class _FusedEuler(torch.autograd.Function):
    """Steps $z_{n+1} = (1 + m_n) z_n + e_n + h_n f_n(z_n)$ over rows of samples."""

    @staticmethod
    def forward(
        ctx: Any,
        activations: list[Activation],
        lengths: list[float],
        z0: Float[Tensor, "rows state"],
        offset: Float[Tensor, "steps #rows hidden"],
        factor: Float[Tensor, "steps rows state"] | None,
        addend: Float[Tensor, "steps rows state"],
        *weights: Tensor,
    ) -> Float[Tensor, "points rows state"]:
        entry, inner, biases, (last, last_bias) = weights[0], weights[1:-2:2], weights[2:-2:2], weights[-2:]
        dt = z0.new_tensor(lengths).view(-1, 1, 1)
        z = z0.new_empty(len(lengths) + 1, *z0.shape)
        z[0] = z0
        widths = [len(weight) for weight in (entry, *inner)]
        inputs = [z0.new_empty(len(lengths), len(z0), width) for width in widths]  # of each activation, at all times
        pushes = (addend + dt * last_bias).unbind()
        values, offsets, ins = z.unbind(), offset.unbind(), list(zip(*(x.unbind() for x in inputs), strict=True))
        factors = None if factor is None else factor.unbind()
        matrices = [weight.t() for weight in (entry, *inner, last)]
        for n, h in enumerate(lengths):
            x = torch.addmm(offsets[n], values[n], matrices[0], out=ins[n][0])
            for k, bias in enumerate(biases):
                x = torch.addmm(bias, activations[k](x), matrices[k + 1], out=ins[n][k + 1])
            after = torch.addmm(pushes[n], activations[-1](x), matrices[-1], alpha=h, out=values[n + 1])
            after.add_(values[n])
            if factors is not None:
                after.addcmul_(factors[n], values[n])
        ctx.activations, ctx.shapes = activations, (offset.shape, dt)
        ctx.save_for_backward(z, factor, *inputs, entry, *inner, last)
        return z

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        z, factor, *saved = ctx.saved_tensors
        inputs, matrices = saved[: len(ctx.activations)], saved[len(ctx.activations) :]
        offset_shape, dt = ctx.shapes
        outputs = cotangents[0]
        hidden, slopes = zip(*(_with_slope(f, x) for f, x in zip(ctx.activations, inputs, strict=True)), strict=True)
        slopes[-1].mul_(dt)  # the step length, once for all times
        adjoint, deltas = torch.empty_like(z), [torch.empty_like(x) for x in inputs]
        adjoint[-1] = outputs[-1]
        adjoints, given = adjoint.unbind(), outputs.unbind()
        delta_at, slope_at = (list(zip(*(x.unbind() for x in xs), strict=True)) for xs in (deltas, slopes))
        factors = None if factor is None else factor.unbind()
        for n in reversed(range(len(given) - 1)):
            x = adjoints[n + 1]
            for k in reversed(range(len(deltas))):
                x = torch.mm(x, matrices[k + 1], out=delta_at[n][k]).mul_(slope_at[n][k])
            before = torch.addmm(given[n], x, matrices[0], out=adjoints[n])
            before.add_(adjoints[n + 1])
            if factors is not None:
                before.addcmul_(factors[n], adjoints[n + 1])
        after = adjoint[1:]
        moved = after * dt
        grads = [*_weight_grads(z[:-1], deltas[0])[:1]]
        for k, delta in enumerate([*deltas[1:], moved]):
            grads += _weight_grads(hidden[k], delta)
        by_offset = deltas[0].sum_to_size(offset_shape)
        return None, None, adjoint[0], by_offset, None if factor is None else after * z[:-1], after, *grads


def _with_slope(activation: Activation, x: Tensor) -> tuple[Tensor, Tensor]:
    """The activation and its derivative, elementwise."""
    value, pullback = torch.func.vjp(activation, x)[:2]
    return value, pullback(torch.ones_like(value))[0]


def _weight_grads(x: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of weight and bias of a linear map, over all times and samples in one product."""
    rows = delta.flatten(0, 1)
    return rows.t() @ x.flatten(0, 1), rows.sum(0)
