"""Euler–Maruyama for a drift that is one net, with a backward pass written by hand.

A plain loop under autograd records every small operation and adds up a weight gradient per step. Here the forward
loop writes into arrays over all times; the backward loop carries only the adjoint of the state, two products per
layer and step; and the gradient of each weight is then one product over all times and samples together. What depends
on time alone (noise, offsets of the first layer) is computed before the loop, for all times at once, and receives its
gradient through ordinary autograd.

In single precision on a CPU with a C compiler the same steps run in `kernels/euler.c` instead.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.kernels.euler import Net, Step, kernel_euler, kernel_for
from neuralsde.kernels.first_order import first_order
from neuralsde.nn.mlp import LipSwish
from neuralsde.noise import Increments
from neuralsde.sde import AbstractChainDrift, AbstractLinearNoise, AbstractSDE, NoiseType, noise_term
from neuralsde.solvers.base import AbstractSolver
from neuralsde.solvers.euler_maruyama import EulerMaruyama

Activation = Callable[[Tensor], Tensor]
ROOM = 1 << 26
IN_KERNEL: dict[type[nn.Module], str] = {nn.ReLU: "relu", nn.Tanh: "tanh", LipSwish: "lip_swish"}


def fusable(
    sde: AbstractSDE, solver: AbstractSolver, z0: Float[Tensor, "*batch state"], grid: Float[Tensor, "points *#batch 1"]
) -> bool:
    """Whether to use `fused_euler`: Euler, a chain as drift, additive or linear noise, times shared by all samples.

    It holds arrays over all steps, as autograd would; where no gradient is asked for, only up to `ROOM` numbers.
    """
    if type(solver) is not EulerMaruyama or not isinstance(sde, AbstractChainDrift) or not sde.tail():
        return False
    known_noise = sde.noise is NoiseType.ADDITIVE or isinstance(sde, AbstractLinearNoise)
    shared = grid.numel() == len(grid) and not grid.requires_grad
    fits = torch.is_grad_enabled() or len(grid) * z0.numel() // z0.shape[-1] * len(sde.entry()) <= ROOM
    if not (known_noise and shared and fits):
        return False
    with torch.no_grad():
        offset = sde.offset(grid[:1].to(z0.dtype).view(1, 1, 1))
    return offset.shape[:-1] in ((1, 1), (1, z0.numel() // z0.shape[-1]))  # not along one of several axes of samples


def fused_euler(
    sde: AbstractChainDrift,
    z0: Float[Tensor, "*batch state"],
    t: Float[Tensor, "points *ones 1"],
    path: Increments,
    every: int = 1,
) -> Float[Tensor, "times *batch state"]:
    """The solution at the start and after each `every` steps of `path`, with the steps of `EulerMaruyama`."""
    steps, state = len(path), z0.shape[-1]
    any_state = z0.new_ones(steps, 1, state)  # the coefficient of the noise reads none
    t, dt = t[:-1].view(-1, 1, 1), path.dt.view(-1, 1, 1)
    w = path.w.view(steps, -1, path.w.shape[-1])
    linear = isinstance(sde, AbstractLinearNoise)
    strength = sde.volatility(t, any_state) if linear else sde.diffusion(t, any_state)
    layers: list[Any] = sde.tail()
    maps = [(sde.entry(), sde.offset(t)), *((layer.weight, layer.bias) for layer in layers[1::2])]
    activation = next((name for kind, name in IN_KERNEL.items() if all(type(f) is kind for f in layers[::2])), None)
    kernel = None if activation is None else kernel_for(len(maps) - 1, z0, w, strength, *maps[0])
    if kernel is not None and activation is not None:
        if strength.shape != any_state.shape:  # a matrix, or another for each sample
            w, strength = noise_term(strength, w), any_state
        step = Step(activation, "free", "linear" if linear else "additive")
        net = Net(maps[0][0], None, maps[0][1].expand(steps, -1, -1), maps[1:])
        arguments = z0.reshape(-1, state), dt.flatten(), w, strength.squeeze(1), None, net
        return kernel_euler(kernel, step, every, *arguments).view(-1, *z0.shape)
    noise = noise_term(strength, w)
    factor, addend = (noise, torch.zeros_like(noise)) if linear else (None, noise)
    activations, maps = logistic_for_tanh(layers[::2], maps)
    (entry, offset), *rest = maps
    arguments = z0.reshape(-1, state), offset, factor, addend, entry, *(x for pair in rest for x in pair)
    return _FusedEuler.apply(activations, dt.flatten().tolist(), every, *arguments).view(-1, *z0.shape)


def logistic_for_tanh(
    activations: list[Activation], maps: list[tuple[Tensor, Tensor]]
) -> tuple[list[Activation], list[tuple[Tensor, Tensor]]]:
    r"""The same net with each $\tanh(x) = 2\,\mathrm{sigmoid}(2x) - 1$ as a sigmoid, the rest in the maps around it.

    On CPUs torch evaluates sigmoid some ten times faster than tanh (0.09 against 0.88 ms for 410,000 numbers).
    """
    activations, maps = list(activations), list(maps)
    for k, activation in enumerate(activations):
        if isinstance(activation, nn.Tanh):
            (weight, bias), (after, after_bias) = maps[k], maps[k + 1]
            activations[k], maps[k] = torch.sigmoid, (2 * weight, 2 * bias)
            maps[k + 1] = 2 * after, after_bias - after.sum(1)
    return activations, maps


class _FusedEuler(torch.autograd.Function):
    """Steps $z_{n+1} = (1 + m_n) z_n + e_n + h_n f_n(z_n)$ over rows of samples."""

    @staticmethod
    def forward(
        ctx: Any,
        activations: list[Activation],
        lengths: list[float],
        every: int,
        z0: Float[Tensor, "rows state"],
        offset: Float[Tensor, "steps #rows hidden"],
        factor: Float[Tensor, "steps rows state"] | None,
        addend: Float[Tensor, "steps rows state"],
        *weights: Tensor,
    ) -> Float[Tensor, "times rows state"]:
        entry, inner, biases, (last, last_bias) = weights[0], weights[1:-2:2], weights[2:-2:2], weights[-2:]
        steps, rows = len(lengths), len(z0)
        dt = z0.new_tensor(lengths).view(-1, 1, 1)
        # Arrays over all times start out as what is added anyway, so that a step is little but products in place.
        z = torch.cat([z0.unsqueeze(0), torch.addcmul(addend, dt, last_bias)])
        inputs = [x.expand(steps, rows, -1).clone(memory_format=torch.contiguous_format) for x in (offset, *biases)]
        values, ins = z.unbind(), list(zip(*(x.unbind() for x in inputs), strict=True))  # ins: what activations read
        factors = None if factor is None else factor.unbind()
        apply_to, (to_first, *to_next, to_last) = _in_place(activations), (w.t() for w in (entry, *inner, last))
        for n, (before, after, xs, h) in enumerate(zip(values, values[1:], ins, lengths, strict=False)):
            x = apply_to[0](xs[0].addmm_(before, to_first))
            for k, matrix in enumerate(to_next, start=1):
                x = apply_to[k](xs[k].addmm_(x, matrix))
            after.addmm_(x, to_last, alpha=h).add_(before)
            if factors is not None:
                after.addcmul_(factors[n], before)
        ctx.activations, ctx.every, ctx.shapes = activations, every, (offset.shape, dt)
        ctx.save_for_backward(z, factor, *inputs, entry, *inner, last)
        return z[::every].clone()

    @staticmethod
    @first_order
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        z, factor, *saved = ctx.saved_tensors
        inputs, matrices = saved[: len(ctx.activations)], saved[len(ctx.activations) :]
        offset_shape, dt = ctx.shapes
        outputs = cotangents[0]
        hidden, slopes = zip(*(_with_slope(f, x) for f, x in zip(ctx.activations, inputs, strict=True)), strict=True)
        slopes[-1].mul_(dt)  # the step length, once for all times
        adjoint = torch.zeros_like(z)
        adjoint[:: ctx.every] = outputs
        scratch = [torch.empty_like(x[0]) for x in inputs]
        layers = list(zip(range(len(inputs)), matrices[1:], scratch, strict=True))[::-1]
        adjoints, slope_at = adjoint.unbind(), list(zip(*(x.unbind() for x in slopes), strict=True))
        factors = None if factor is None else factor.unbind()
        backwards = adjoints[-2::-1], adjoints[:0:-1], slope_at[::-1]
        for n, (before, after, slope) in enumerate(zip(*backwards, strict=True), start=1):
            x = after
            for k, matrix, room in layers:
                x = slope[k].mul_(torch.mm(x, matrix, out=room))
            before.addmm_(x, matrices[0]).add_(after)
            if factors is not None:
                before.addcmul_(factors[-n], after)
        deltas = slopes  # each slope has been multiplied by what came back to it
        after = adjoint[1:]
        moved = after * dt
        grads = [*_weight_grads(z[:-1], deltas[0])[:1]]
        for k, delta in enumerate([*deltas[1:], moved]):
            grads += _weight_grads(hidden[k], delta)
        by_offset = deltas[0].sum_to_size(offset_shape)
        return None, None, None, adjoint[0], by_offset, None if factor is None else after * z[:-1], after, *grads


def _in_place(activations: list[Activation]) -> list[Activation]:
    """The activations, a sigmoid overwriting its input: it is differentiated from its output."""
    return [torch.sigmoid_ if f is torch.sigmoid else f for f in activations]


def _with_slope(activation: Activation, kept: Tensor) -> tuple[Tensor, Tensor]:
    """The activation and its derivative, elementwise, from its input, or a sigmoid's from its output."""
    if activation is torch.sigmoid:
        return kept, torch.addcmul(kept, kept, kept, value=-1)
    value, pullback = torch.func.vjp(activation, kept)[:2]
    return value, pullback(torch.ones_like(value))[0]


def _weight_grads(x: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of weight and bias of a linear map, over all times and samples in one product."""
    rows = delta.flatten(0, 1)
    return rows.t() @ x.flatten(0, 1), rows.sum(0)
