"""The latent model: encoder, latent process, decoder and likelihood, one after the other."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from neuralsde.likelihoods import Likelihood
from neuralsde.nn.dropout import Dropout


@dataclass(frozen=True)
class ModelOutput:
    """One pass through the model.

    Args:
        parameter: the likelihood's parameter, (batch, bin, target) (log expected counts for Poisson).
        latents: the sampled latent path, (batch, bin, latent).
        kl: divergences of the posterior from the prior in nats, by name, each (batch,).
    """

    parameter: Tensor
    latents: Tensor
    kl: dict[str, Tensor]


class LatentModel(nn.Module):
    """Encoder, dynamics, decoder and likelihood composed by a config; each part learns its sizes from the part before it.

    Args:
        encoder: observations to context, with an `output_size`.
        dynamics: makes the latent process from `context_size`; its forward maps a context to a `LatentPath`.
        decoder: makes the decoder from `input_size`.
        likelihood: makes the read-out from `input_size`.
        decode_context: whether the decoder sees the encoder's context beside the latent path. Without it the path is
            all that the rates are made of.
        context_dropout: probability of dropping an entry of the context on its way to the decoder.
    """

    def __init__(
        self,
        encoder: nn.Module,
        dynamics: Callable[..., nn.Module],
        decoder: Callable[..., nn.Module],
        likelihood: Callable[..., Likelihood],
        decode_context: bool = False,
        context_dropout: float = 0.0,
    ):
        super().__init__()
        self.encoder = encoder
        context_size = sized(encoder)
        self.dynamics = dynamics(context_size=context_size)
        self.decoder = decoder(input_size=sized(self.dynamics) + (context_size if decode_context else 0))
        self.likelihood = likelihood(input_size=sized(self.decoder))
        self.decode_context = decode_context
        self.context_dropout = Dropout(context_dropout)

    def forward(
        self,
        values: Float[Tensor, "batch observed_bin channel"],
        seen: Bool[Tensor, "batch observed_bin channel"],
        times: Float[Tensor, "#batch bin"],
    ) -> ModelOutput:
        return self.sample(self.encoder(values, seen, times))

    def sample(self, context: Float[Tensor, "batch bin context"]) -> ModelOutput:
        """One posterior path given the encoder's context, and what it decodes to."""
        path = self.dynamics(context)
        decoded = path.states
        if self.decode_context:
            decoded = torch.cat([decoded, self.context_dropout(context)], dim=2)
        return ModelOutput(self.likelihood(self.decoder(decoded)), path.states, path.kl)


def sized(part: nn.Module) -> int:
    """Channels per bin that a part hands on."""
    size = part.output_size
    assert isinstance(size, int)
    return size
