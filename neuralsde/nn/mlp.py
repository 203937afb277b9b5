"""The multilayer perceptron."""

import itertools
from collections.abc import Callable
from typing import cast

from jaxtyping import Float
from torch import Tensor, nn


class LipSwish(nn.Module):
    r"""$0.909\,x\,\mathrm{sigmoid}(x)$: swish scaled to a Lipschitz constant of one (Chen et al., arXiv 1906.02735)."""

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return 0.909 * nn.functional.silu(x)


class MLP(nn.Sequential):
    """`depth` hidden layers of `hidden_size` with `activation` between linear maps.

    Args:
        in_size: size of the last axis of the input.
        out_size: size of the last axis of the output.
        hidden_size: width of the hidden layers.
        depth: number of hidden layers; 0 is a linear map.
        activation: makes the activation after each hidden layer.
    """

    def __init__(
        self,
        in_size: int,
        out_size: int,
        hidden_size: int = 64,
        depth: int = 1,
        activation: Callable[[], nn.Module] = nn.Tanh,
    ):
        sizes = [in_size, *[hidden_size] * depth]
        hidden = ((nn.Linear(a, b), activation()) for a, b in itertools.pairwise(sizes))
        super().__init__(*itertools.chain.from_iterable(hidden), nn.Linear(sizes[-1], out_size))

    def parts(self) -> tuple[nn.Linear, list[nn.Module]]:
        """The first linear map, and what follows it."""
        first, *rest = self
        return cast(nn.Linear, first), rest
