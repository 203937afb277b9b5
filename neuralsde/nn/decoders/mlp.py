from itertools import pairwise
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.nn.dropout import Dropout

ACTIVATIONS = {"gelu": nn.GELU, "relu": nn.ReLU}


class MLPDecoder(nn.Module):
    """Each bin by itself through `layers` hidden layers; no layer at all is the linear read-out of LFADS and GPFA.

    Args:
        input_size: channels per bin.
        hidden_size: width of the hidden layers.
        layers: number of hidden layers, 0 for none.
        dropout: dropout probability behind each hidden layer.
        input_dropout: dropout probability on the input: a ridge penalty on the layer that follows.
        activation: of the hidden layers: `gelu` or `relu`.
        skip: hand the input on beside what the layers make of it, so that the read-out is linear in it too.

    Raises:
        ConfigError: there is no such activation.
    """

    mixes_bins: ClassVar[bool] = False

    def __init__(
        self,
        input_size: int,
        hidden_size: int = 128,
        layers: int = 1,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        activation: str = "gelu",
        skip: bool = False,
    ):
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ConfigError(f"model.decoder.activation is {activation!r}; choose {' or '.join(ACTIVATIONS)}.")
        widths = [input_size] + [hidden_size] * layers
        blocks = [nn.Sequential(nn.Linear(i, o), ACTIVATIONS[activation](), Dropout(dropout)) for i, o in pairwise(widths)]
        self.layers = nn.Sequential(Dropout(input_dropout), *blocks)
        self.skip = skip
        self.output_size = widths[-1] + (input_size if skip else 0)
        self.is_identity = not blocks and input_dropout == 0 and not skip

    def forward(self, input: Float[Tensor, "batch bin channel"]) -> Float[Tensor, "batch bin feature"]:
        made = self.layers(input)
        return torch.cat([made, input], -1) if self.skip else made
