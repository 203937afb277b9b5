"""The latent model: encoder, latent process, decoder and likelihood, one after the other."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.inference.path import Estimator, Evidence, LatentPath, LatentProcess
from neuralsde.likelihoods import Gaussian, Likelihood
from neuralsde.nn.decoders import MLPDecoder
from neuralsde.nn.dropout import Dropout


@dataclass(frozen=True)
class ModelOutput:
    """One pass through the model. With several posterior samples the first axis holds all trials under the first, then all
    under the second, and so on.

    Args:
        parameter: the likelihood's parameter, (sample * batch, bin, target) (log expected counts for Poisson).
        latents: the sampled latent path, (sample * batch, bin, latent).
        kl: divergences of the posterior from the prior in nats, by name, each (sample * batch,).
    """

    parameter: Tensor
    latents: Tensor
    kl: dict[str, Tensor]


class LatentModel(nn.Module):
    """Encoder, dynamics, decoder and likelihood composed by a config; each part learns its sizes from the part before it.

    Args:
        encoder: observations to context, with an `output_size`.
        dynamics: makes the latent process from `context_size`.
        decoder: makes the decoder from `input_size`.
        likelihood: makes the read-out from `input_size`.
        decode_context: whether the decoder sees the encoder's context beside the latent path. Without it the path is
            all that the rates are made of, and the model can forecast and be sampled from.
        context_dropout: probability of dropping an entry of the context on its way to the decoder.
    """

    def __init__(
        self,
        encoder: nn.Module,
        dynamics: Callable[..., LatentProcess],
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
        # A part that knows which values it sees wants them as they are; another wants the rest scaled up.
        self.reads_mask = getattr(encoder, "reads_mask", False) or self.dynamics.wants_evidence
        self.context_dropout = Dropout(context_dropout)
        if self.dynamics.wants_evidence and not (isinstance(self.likelihood, Gaussian) and self._decodes_nothing()):
            raise ConfigError(
                f"model.dynamics {type(self.dynamics).__name__} knows the exact posterior of a linear read-out with Gaussian "
                "noise: choose model/decoder=linear (without input_dropout), model/likelihood=gaussian and "
                "model.decode_context=false, or dynamics without an exact posterior."
            )

    def forward(
        self,
        values: Float[Tensor, "batch observed_bin channel"],
        seen: Bool[Tensor, "batch observed_bin channel"],
        times: Float[Tensor, "#batch bin"],
        samples: int = 1,
        estimator: Estimator = Estimator.ANALYTIC,
    ) -> ModelOutput:
        context, evidence = self.encoder(values, seen, times), self.evidence(values, seen)
        return self.sample(context, times, values.shape[1], samples, estimator, evidence)

    def sample(
        self,
        context: Float[Tensor, "batch bin context"],
        times: Float[Tensor, "#batch bin"],
        observed_bins: int,
        samples: int = 1,
        estimator: Estimator = Estimator.ANALYTIC,
        evidence: Evidence | None = None,
    ) -> ModelOutput:
        """Posterior paths given the encoder's context, and what they decode to."""
        path = self.posterior(context, times, observed_bins, samples, estimator, evidence)
        decoded = path.states
        if self.decode_context:
            decoded = torch.cat([decoded, self.context_dropout(context).repeat(samples, 1, 1)], dim=2)
        return ModelOutput(self.likelihood(self.decoder(decoded)), path.states, path.kl)

    def posterior(
        self,
        context: Float[Tensor, "batch bin context"],
        times: Float[Tensor, "#batch bin"],
        observed_bins: int,
        samples: int = 1,
        estimator: Estimator = Estimator.ANALYTIC,
        evidence: Evidence | None = None,
    ) -> LatentPath:
        """Posterior paths, samples outside, trials inside."""
        if samples > 1:
            context, times = context.repeat(samples, 1, 1), times.repeat(samples if len(times) > 1 else 1, 1)
            evidence = evidence and Evidence(evidence[0].repeat(1, samples, 1, 1), evidence[1].repeat(1, samples, 1))
        return self.dynamics(context, times, observed_bins, estimator, evidence)

    def evidence(
        self, values: Float[Tensor, "batch observed_bin channel"], seen: Bool[Tensor, "batch observed_bin channel"]
    ) -> Evidence | None:
        """What linear-Gaussian observations say of the path, for dynamics that ask for it."""
        if not self.dynamics.wants_evidence:
            return None
        assert isinstance(self.likelihood, Gaussian)
        channels, readout = values.shape[2], self.likelihood.readout
        weight, precision = readout.weight[:channels], self.likelihood.noise_std()[:channels] ** -2
        weighed = (seen * precision).transpose(0, 1)  # (bin, batch, channel)
        centred = (values - readout.bias[:channels]).transpose(0, 1)
        return Evidence(torch.einsum("npc,ci,cj->npij", weighed, weight, weight), (weighed * centred) @ weight)

    def _decodes_nothing(self) -> bool:
        """Whether the read-out sees the latent path itself."""
        idle = isinstance(self.decoder, MLPDecoder) and self.decoder.is_identity
        return idle and not self.decode_context

    def forecast(
        self,
        values: Float[Tensor, "batch observed_bin channel"],
        seen: Bool[Tensor, "batch observed_bin channel"],
        times: Float[Tensor, "#batch observed_bin"],
        ahead: Float[Tensor, "#batch ahead_bin"],
        samples: int = 1,
    ) -> ModelOutput:
        """The prior's continuation of posterior paths beyond the observations, at the times `ahead`.

        Raises:
            ConfigError: the decoder reads the encoder's context, of which there is none beyond the data.
        """
        self.refuse_context("forecast beyond the data")
        context, evidence = self.encoder(values, seen, times), self.evidence(values, seen)
        path = self.posterior(context, times, values.shape[1], samples, evidence=evidence)
        assert path.end is not None
        rows = max(len(times), len(ahead))
        clock = torch.cat([times[:, -1:].expand(rows, -1), ahead.expand(rows, -1)], 1)
        states = self.dynamics.go_on(path.end, clock.repeat(samples if len(clock) > 1 else 1, 1))
        whole = self.likelihood(self.decoder(torch.cat([path.states, states], 1)))  # an attention decoder looks back
        return ModelOutput(whole[:, values.shape[1] :], states, {})

    def generate(self, n: int, times: Float[Tensor, "#batch bin"]) -> ModelOutput:
        """Paths of the prior and what they decode to.

        Raises:
            ConfigError: the decoder reads the encoder's context, of which there is none.
        """
        self.refuse_context("be sampled from")
        states = self.dynamics.from_prior(n, times)
        return ModelOutput(self.likelihood(self.decoder(states)), states, {})

    def refuse_context(self, use: str) -> None:
        """Raises:
        ConfigError: the decoder reads more than the latent path.
        """
        if self.decode_context:
            raise ConfigError(
                f"The model cannot {use}: its decoder also reads the encoder's context, which only data give. Train with "
                "model.decode_context=false (model=latent_sde does)."
            )


def sized(part: nn.Module) -> int:
    """Channels per bin that a part hands on."""
    size = part.output_size
    assert isinstance(size, int)
    return size
