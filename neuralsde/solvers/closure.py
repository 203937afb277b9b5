"""Which tensors a solve depends on, for the backward passes written by hand."""

from collections.abc import Sequence

import torch
from torch import Tensor

from neuralsde.errors import ConfigError
from neuralsde.sde import AbstractSDE


def inputs_with_gradient(sde: AbstractSDE, context: Sequence[Tensor] = ()) -> list[Tensor]:
    """The parameters of `sde`, then the tensors of `context`, that ask for a gradient."""
    return [x for x in (*sde.parameters(), *context) if x.requires_grad]


def refuse_unknown_inputs(outputs: Sequence[Tensor], known: Sequence[Tensor]) -> None:
    """Raise if `outputs` depend on a tensor that asks for a gradient and is not `known`.

    A backward pass written by hand would silently give it none.

    Raises:
        ConfigError: there is such a tensor.
    """
    leaves = {id(x) for x in known}
    frontier = [x.grad_fn for x in outputs if x.grad_fn is not None]
    seen = {x.grad_fn for x in known if x.grad_fn is not None}
    while frontier:
        node = frontier.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if isinstance(leaf, Tensor) and id(leaf) not in leaves:
            raise ConfigError(
                f"The equation reads a tensor of shape {tuple(leaf.shape)} that asks for a gradient but is none of its "
                "parameters; pass what it was computed from, or the tensor itself, as `context`."
            )
        frontier += [parent for parent, _ in node.next_functions]


def gradients(outputs: Sequence[Tensor], inputs: Sequence[Tensor], cotangents: Sequence[Tensor]) -> list[Tensor]:
    """`torch.autograd.grad` in which what does not depend on an input has a gradient of zero."""
    pairs = [(y, dy) for y, dy in zip(outputs, cotangents, strict=True) if y.requires_grad]
    if not pairs:
        return [torch.zeros_like(x) for x in inputs]
    found = torch.autograd.grad([y for y, _ in pairs], inputs, [dy for _, dy in pairs], allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(inputs, found, strict=True)]
