"""The latent model: encoder, latent process, decoder and likelihood, one after the other."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.inference.matched_sde import MatchedSDE
from neuralsde.inference.path import Estimator, Evidence, LatentPath, LatentProcess, Matching
from neuralsde.likelihoods import Gaussian, Likelihood
from neuralsde.nn.control_path import interval
from neuralsde.nn.decoders import MLPDecoder
from neuralsde.nn.dropout import Dropout
from neuralsde.nn.encoders import LocalEncoder
from neuralsde.nn.input_noise import InputNoise
from neuralsde.nn.local_context import Part, Stretch, in_bins
from neuralsde.noise import AbstractNoise
from neuralsde.shares import drawn

EVERY_BIN = slice(None)


@dataclass(frozen=True)
class ModelOutput:
    """One pass through the model. With several posterior samples the first axis holds all trials under the first, then all
    under the second, and so on.

    Args:
        parameter: the likelihood's parameter, (sample * batch, bin, target) (log expected counts for Poisson).
        latents: the sampled latent path, (sample * batch, bin, latent).
        kl: divergences of the posterior from the prior in nats, by name, each (sample * batch,).
        bins: the bins that it is of, (batch, bin), where not all in turn.
    """

    parameter: Tensor
    latents: Tensor
    kl: dict[str, Tensor]
    bins: Tensor | None = None


class LatentModel(nn.Module):
    """Encoder, dynamics, decoder and likelihood composed by a config; each part learns its sizes from the part before it.

    An encoder may say that its last `content_size` channels are content: what stays the same throughout a trial, equal in all
    bins. The decoder reads them beside the path, the dynamics do not. Content is known once a trial has been encoded, so the
    model forecasts; it has no prior, so that the bound is conditional on it, and sampling asks for it.

    An encoder may have times of its own (`context_times`), such as a grid. The dynamics then run on those, and a decoder that
    reads times decodes at the bins, where latents lie on straight lines between the path's states.

    Args:
        encoder: observations to context, with an `output_size` and, where it finds content, a `content_size`.
        dynamics: makes the latent process from `context_size` and, where one is given, `noise`.
        decoder: makes the decoder from `input_size`.
        likelihood: makes the read-out from `input_size`.
        decode_context: whether the decoder sees the encoder's context beside the latent path. Without it the path (and the
            content, where there is some) is all that the rates are made of, and the model can forecast and be sampled from.
        context_dropout: probability of dropping an entry of the context on its way to the decoder.
        context_noise: standard deviation of Gaussian noise that is added to it there while training, so that the decoder learns
            to be smooth in what it reads.
        noise: makes what drives the latent process from `size` and `horizon`; Brownian motion if None.
        centre_inputs: let the encoder read deviations from `centre`, each channel's mean over the training trials, so that a
            value that is hidden or was not recorded stands where the channel is on average, and not where it is silent.
    """

    centre: Tensor | None

    def __init__(
        self,
        encoder: nn.Module,
        dynamics: Callable[..., LatentProcess],
        decoder: Callable[..., nn.Module],
        likelihood: Callable[..., Likelihood],
        decode_context: bool = False,
        context_dropout: float = 0.0,
        context_noise: float = 0.0,
        noise: Callable[..., AbstractNoise] | None = None,
        centre_inputs: bool = False,
    ):
        super().__init__()
        self.encoder = encoder
        self.register_buffer("centre", torch.zeros(()) if centre_inputs else None)
        self.content_size: int = getattr(encoder, "content_size", 0)
        self.context_size = sized(encoder) - self.content_size
        self.dynamics = dynamics(context_size=self.context_size, **({} if noise is None else {"noise": noise}))
        read = sized(encoder) if decode_context else self.content_size
        self.decoder = decoder(input_size=sized(self.dynamics) + read)
        self.likelihood = likelihood(input_size=sized(self.decoder))
        self.decode_context = decode_context
        # A part that knows which values it sees wants them as they are; another wants the rest scaled up.
        self.reads_mask = getattr(encoder, "reads_mask", False) or self.dynamics.wants_evidence
        self.context_dropout, self.context_noise = Dropout(context_dropout), InputNoise(context_noise)
        self.has_own_times: bool = hasattr(encoder, "context_times")
        self.reads_times: bool = getattr(self.decoder, "reads_times", False)
        if self.has_own_times:
            self._refuse_parts_at_bins()
        if self.dynamics.wants_evidence and not self._reads_path_linearly():
            raise ConfigError(
                f"model.dynamics {type(self.dynamics).__name__} knows the exact posterior of a linear read-out with Gaussian "
                "noise: choose model/decoder=linear (without input_dropout), model/likelihood=gaussian (readout linear), "
                "model.decode_context=false and an encoder without content, or dynamics without an exact posterior."
            )

    def forward(
        self,
        values: Float[Tensor, "batch observed_bin channel"],
        seen: Bool[Tensor, "batch observed_bin channel"],
        times: Float[Tensor, "#batch bin"],
        samples: int = 1,
        estimator: Estimator = Estimator.ANALYTIC,
        decoded: slice = EVERY_BIN,
    ) -> ModelOutput:
        context, evidence = self.encode(values, seen, times), self.evidence(values, seen)
        return self.sample(context, times, values.shape[1], samples, estimator, evidence, decoded)

    def encode(
        self,
        values: Float[Tensor, "batch observed_bin channel"],
        seen: Bool[Tensor, "batch observed_bin channel"],
        times: Float[Tensor, "#batch bin"],
    ) -> Float[Tensor, "batch point context"]:
        """The encoder's context of what was observed."""
        return self.encoder(self.centred(values, seen), seen, times)

    def centred(
        self, values: Float[Tensor, "batch bin channel"], seen: Bool[Tensor, "batch bin channel"]
    ) -> Float[Tensor, "batch bin channel"]:
        """What the encoder reads: deviations from `centre` where there is one, 0 where nothing was seen."""
        return values if self.centre is None else torch.where(seen, values - self.centre, 0.0)

    def sample(
        self,
        context: Float[Tensor, "batch point context"],
        times: Float[Tensor, "#batch bin"],
        observed_bins: int,
        samples: int = 1,
        estimator: Estimator = Estimator.ANALYTIC,
        evidence: Evidence | None = None,
        decoded: slice = EVERY_BIN,
    ) -> ModelOutput:
        """Posterior paths given the encoder's context, and what they decode to in the bins `decoded`."""
        points, times = self.path_times(times)
        observed_bins = context.shape[1] if self.has_own_times else observed_bins
        path = self.posterior(context, points, observed_bins, samples, estimator, evidence)
        read = context if self.decode_context else context[..., self.context_size :]
        if self.reads_times:
            parameter = self.decode(path.states, read, points, times[:, decoded])
        else:
            parameter = self.decode(path.states[:, decoded], read[:, decoded])
        return ModelOutput(parameter, self.at_bins(path.states, points, times), path.kl)

    def path_times(
        self, times: Float[Tensor, "#batch bin"]
    ) -> tuple[Float[Tensor, "#batch point"], Float[Tensor, "#batch bin"]]:
        """When the path's states are of, and the bins: an encoder's own times begin with a trial's first bin."""
        own: Callable[[Tensor], Tensor] | None = getattr(self.encoder, "context_times", None)
        return (times, times) if own is None else (own(times), times - times[:, :1])

    def at_bins(
        self,
        states: Float[Tensor, "sample_batch point latent"],
        points: Float[Tensor, "#batch point"],
        times: Float[Tensor, "#batch bin"],
    ) -> Float[Tensor, "sample_batch bin latent"]:
        """The path at the bins: linearly between its states, where those are at other times."""
        if not self.has_own_times:
            return states
        left, _, share = interval(points.expand(len(times), -1), times)
        each = len(states) // len(times)
        left, share = left.repeat(each, 1)[..., None], share.repeat(each, 1)[..., None].to(states.dtype)
        return torch.lerp(states.take_along_dim(left, 1), states.take_along_dim(left + 1, 1), share)

    def match(
        self,
        values: Float[Tensor, "batch observed_bin channel"],
        seen: Bool[Tensor, "batch observed_bin channel"],
        times: Float[Tensor, "#batch bin"],
        matching: Matching,
    ) -> ModelOutput:
        """Posterior states in some bins, drawn without simulating a path, and what each decodes to.

        Raises:
            ConfigError: the dynamics can only be simulated.
        """
        context = self.encode(values, seen, times)
        with exactly(context):
            match = self.dynamics.match(widened(context[..., : self.context_size]), times, values.shape[1], matching)
        read = context if self.decode_context else context[..., self.context_size :]
        read = in_bins(read, match.bins)
        return ModelOutput(self.decode(match.states, read), match.states, match.kl, match.bins)

    def some_stretch(self, matching: Matching, trials: Tensor, bins: int, observed_bins: int) -> Stretch | None:
        """The bins of each trial that a step learns from and their context is made of, drawn at random; None where it is all.

        Args:
            matching: how long it is.
            trials: a tensor of them, of any shape.
            bins: of a trial.
            observed_bins: bins, from the first, in which something may have been observed.

        Raises:
            ConfigError: only whole trials can be matched.
        """
        bins = self.dynamics.matched_bins(bins, observed_bins)
        if (parts := self.parts_of(matching, bins)) == 1:
            return None
        assert isinstance(self.encoder, LocalEncoder)
        assert self.dynamics.reach is not None
        return self.encoder.stretch_of(some_part(parts, trials), bins, self.dynamics.reach)

    def parts_of(self, matching: Matching, bins: int) -> int:
        """How many parts matching draws from, one at a time, in trials of so many bins.

        Raises:
            ConfigError: several, but encoder or curves are not local.
        """
        parts = max(bins // (matching.part_bins or bins), 1)
        if parts > 1 and (not isinstance(self.encoder, LocalEncoder) or self.dynamics.reach is None):
            raise ConfigError(
                f"objective.part_bins={matching.part_bins} needs a context and curves that depend on a bounded stretch of the "
                "trial: choose model/encoder=local and model/curves=spline or attention, or set it to null."
            )
        return parts

    def match_stretch(
        self,
        values: Float[Tensor, "batch stretch_bin channel"],
        seen: Bool[Tensor, "batch stretch_bin channel"],
        observed_bins: int,
        times: Float[Tensor, "#batch bin"],
        matching: Matching,
        stretch: Stretch,
    ) -> ModelOutput:
        """`match` from what was observed in a stretch of each trial; no context of other bins is made."""
        assert isinstance(self.encoder, LocalEncoder)
        times = times[:, : self.dynamics.matched_bins(times.shape[1], observed_bins)]
        context = self.encoder.local(self.centred(values, seen), seen, observed_bins, times, stretch)
        with exactly(context.steps):
            match = self.dynamics.match(replace(context, steps=widened(context.steps)), times, observed_bins, matching)
        read = in_bins(context, match.bins) if self.decode_context else values.new_zeros(*match.bins.shape, 0)
        return ModelOutput(self.decode(match.states, read), match.states, match.kl, match.bins)

    def decode(
        self,
        states: Float[Tensor, "sample_batch point latent"],
        read: Float[Tensor, "batch #point read"],
        points: Float[Tensor, "#batch point"] | None = None,
        times: Float[Tensor, "#batch bin"] | None = None,
    ) -> Float[Tensor, "sample_batch bin parameter"]:
        """The likelihood's parameter, from paths, samples outside and trials inside, and what the decoder reads beside them;
        where it reads times, those of the states and of the bins."""
        if read.shape[2]:
            read = self.context_noise(self.context_dropout(read)).expand(-1, states.shape[1], -1)
            states = torch.cat([states, read.repeat(len(states) // len(read), 1, 1)], dim=2)
        features = self.decoder(states) if times is None else self.decoder(states, points, times)
        return widened(self.likelihood(features))  # what is summed over all entries

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
        context = context[..., : self.context_size]
        if samples > 1:
            context, times = context.repeat(samples, 1, 1), times.repeat(samples if len(times) > 1 else 1, 1)
        with exactly(context):
            return self.dynamics(widened(context), times, observed_bins, estimator, evidence, samples)

    def evidence(
        self, values: Float[Tensor, "batch observed_bin channel"], seen: Bool[Tensor, "batch observed_bin channel"]
    ) -> Evidence | None:
        """What linear-Gaussian observations say of the path, for dynamics that ask for it."""
        if not self.dynamics.wants_evidence:
            return None
        assert isinstance(self.likelihood, Gaussian)
        assert isinstance(self.likelihood.readout, nn.Linear)
        channels, readout = values.shape[2], self.likelihood.readout
        weight, precision = readout.weight[:channels], self.likelihood.noise_std()[:channels] ** -2
        weighed = (seen * precision).transpose(0, 1)  # (bin, batch, channel)
        alike = weighed[:, :1] if bool((seen == seen[:1]).all()) else weighed  # one precision where all trials see the same
        centred = (values - readout.bias[:channels]).transpose(0, 1)
        with exactly(values):
            return Evidence(torch.einsum("npc,ci,cj->npij", alike, weight, weight), (weighed * centred) @ weight)

    def start_at_observations(self) -> None:
        """Let a matched posterior's mean begin at the observations, where the encoder passes them on and they are read linearly
        off the path: by least squares. Anything else begins as it is."""
        passed = getattr(self.encoder, "passed_on", 0)
        if not passed or not isinstance(self.dynamics, MatchedSDE) or not self._reads_path_linearly():
            return
        assert isinstance(self.likelihood, Gaussian)
        assert isinstance(self.likelihood.readout, nn.Linear)
        offset = self.likelihood.readout.bias[:passed]
        self.dynamics.start_at(self.likelihood.readout.weight[:passed], offset if self.centre is None else offset - self.centre)

    def _reads_path_linearly(self) -> bool:
        """Whether the observations are Gaussian around a linear read-out of the latent path itself."""
        linear = isinstance(self.likelihood, Gaussian) and isinstance(self.likelihood.readout, nn.Linear)
        idle = isinstance(self.decoder, MLPDecoder) and self.decoder.is_identity
        return linear and idle and not self.decode_context and not self.content_size

    def _refuse_parts_at_bins(self) -> None:
        """Raises:
        ConfigError: the encoder has times of its own, and another part works at the bins.
        """
        name = f"model.encoder {type(self.encoder).__name__} has times of its own"
        if not self.reads_times:
            raise ConfigError(
                f"{name}, but model.decoder {type(self.decoder).__name__} decodes a state where it is: choose "
                "model/decoder=mtan, or an encoder whose context is at the bins."
            )
        if self.decode_context or self.content_size:
            raise ConfigError(f"{name}, but the decoder reads context at the bins: set model.decode_context=false.")

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
        if self.has_own_times:
            raise ConfigError(
                f"The model cannot forecast beyond the data: its encoder {type(self.encoder).__name__} has times of its own, "
                "which end with the trial. Train with another model/encoder."
            )
        context, evidence = self.encode(values, seen, times), self.evidence(values, seen)
        path = self.posterior(context, times, values.shape[1], samples, evidence=evidence)
        assert path.end is not None
        rows = max(len(times), len(ahead))
        clock = torch.cat([times[:, -1:].expand(rows, -1), ahead.expand(rows, -1)], 1)
        states = self.dynamics.go_on(path.end, clock.repeat(samples if len(clock) > 1 else 1, 1))
        content = context[:, :1, self.context_size :]
        clock = (torch.cat([times.expand(rows, -1), ahead.expand(rows, -1)], 1),) * 2 if self.reads_times else ()
        whole = self.decode(torch.cat([path.states, states], 1), content, *clock)  # an attention decoder looks back
        return ModelOutput(whole[:, values.shape[1] :], states, {})

    def content(
        self,
        values: Float[Tensor, "batch observed_bin channel"],
        seen: Bool[Tensor, "batch observed_bin channel"],
        times: Float[Tensor, "#batch bin"],
    ) -> Float[Tensor, "batch content"]:
        """What stays the same throughout each trial; no channels where the encoder finds no content."""
        return self.encode(values, seen, times)[:, 0, self.context_size :]

    def generate(
        self, n: int, times: Float[Tensor, "#batch bin"], content: Float[Tensor, "n content"] | None = None
    ) -> ModelOutput:
        """Paths of the prior and what they decode to.

        Args:
            n: trials.
            times: in seconds, increasing.
            content: of each trial, as `content` finds it in data; for an encoder that finds some.

        Raises:
            ConfigError: the decoder reads the encoder's context or content, of which there is none.
        """
        self.refuse_context("be sampled from")
        if content is None and self.content_size:
            raise ConfigError(
                f"The model cannot be sampled from without content, of which its encoder {type(self.encoder).__name__} finds "
                f"{self.content_size} channels in data: give model.generate(n, times, content), or forecast given trials."
            )
        points, times = self.path_times(times)
        states = self.dynamics.from_prior(n, points)
        read = states.new_zeros(n, 1, 0) if content is None else content[:, None]
        clock = (points, times) if self.reads_times else ()
        return ModelOutput(self.decode(states, read, *clock), self.at_bins(states, points, times), {})

    def refuse_context(self, use: str) -> None:
        """Raises:
        ConfigError: the decoder reads more than the latent path.
        """
        if self.decode_context:
            raise ConfigError(
                f"The model cannot {use}: its decoder also reads the encoder's context, which only data give. Train with "
                "model.decode_context=false (model=latent_sde does)."
            )


def some_part(parts: int, trials: Tensor) -> Part:
    """A part of each trial, each with the same chance and all about as often in a batch."""

    def draw(shape: tuple[int, ...]) -> Tensor:
        device = trials.device
        within, turn = torch.rand(shape, device=device), torch.rand(1, device=device)
        return ((torch.arange(len(within), device=device) + within) / len(within) + turn) % 1

    return Part((drawn(draw, (len(trials),)) * parts).long().clamp(max=parts - 1), parts)


def widened(x: Tensor) -> Tensor:
    """`x` in single precision, where it comes from layers that compute in half of it."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def exactly(like: Tensor) -> torch.autocast:
    """In here layers do not compute in half precision: a solver adds up small steps, and a divergence small differences."""
    return torch.autocast(like.device.type, enabled=False)


def sized(part: nn.Module) -> int:
    """Channels per bin that a part hands on."""
    size = part.output_size
    assert isinstance(size, int)
    return size
