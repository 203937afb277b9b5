from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.inference.control import Memory, NoControl, Steering
from neuralsde.inference.full_marginals import FullMarginals
from neuralsde.inference.latent_sde import LatentSDE
from neuralsde.inference.marginals import AbstractMarginals, DiagonalMarginals
from neuralsde.inference.path import Bound, Estimator, Evidence, Match, Matching, gaussian_sample
from neuralsde.inference.scale import Scale
from neuralsde.inference.steering import Plan
from neuralsde.inference.underdamped_marginals import UnderdampedMarginals
from neuralsde.nn.curves import AbstractCurves
from neuralsde.nn.local_context import Context, LocalContext, Part, whole
from neuralsde.noise import OUBank
from neuralsde.sde import AbstractSDE, Calculus, NoiseType, UnderdampedLangevin
from neuralsde.shares import normals, uniforms

KINDS: dict[str, Callable[..., AbstractMarginals]] = {"full": FullMarginals, "diagonal": DiagonalMarginals}


class _FollowMarginals(Steering):
    """Takes a path from one marginal to the next; its parameters are those of the prior, which it makes up for."""

    def __init__(self, marginals: AbstractMarginals, sde: AbstractSDE, samples: int):
        super().__init__()
        self.marginals, self.sde, self.samples = marginals, sde, samples

    def forward(
        self, y: Float[Tensor, "batch state"], memory: Memory, *features: Float[Tensor, "..."]
    ) -> Float[Tensor, "batch noise"]:
        return self.marginals.steer(self.sde, y.unflatten(0, (self.samples, -1)), *features).flatten(0, 1)


class MatchedSDE(LatentSDE):
    r"""Any equation with diagonal noise as prior, and a posterior that is given by Gaussian marginals; see
    `neuralsde.inference.marginals`.

    It can be learned without simulating (`match`, `objective=sde_matching`), at a cost that does not grow with the length of a
    trial; and it can be simulated, by the solver, as any latent SDE: to evaluate the bound, to predict, to learn on.

    Args:
        context_size: channels of the encoder's context.
        latent_size: size of the state.
        curves: makes the moments' curves from `context_size`, `channels` and `bends`; see `neuralsde.nn.curves`.
        covariance: `full`, or `diagonal` for independent components (underdamped dynamics: independent modes, whose position
            and velocity depend on each other, either way).
        control: ignored: the marginals say what steers.
        settings: as of `LatentSDE`.

    Raises:
        ConfigError: equation or noise have no such posterior; the sentence says why.
    """

    matches: ClassVar[bool] = True

    def __init__(
        self,
        context_size: int,
        latent_size: int,
        curves: Callable[..., AbstractCurves],
        covariance: str = "full",
        control: Any = None,
        **settings: Any,
    ):
        super().__init__(context_size, latent_size, control=NoControl, **settings)
        if self.learns_forward and not self.steer_forward:
            raise ConfigError(
                "model.dynamics.learn_forward=true with steer_forward=false has the prior go on step by step, which "
                "objective=sde_matching does not: set learn_forward to null, or objective=elbo."
            )
        sde = self.sde.prepared()
        underdamped = isinstance(sde, UnderdampedLangevin)
        refuse_other_noise(sde, self.noise.is_brownian, type(self.sde).__name__)
        if covariance not in KINDS:
            raise ConfigError(f"model.dynamics.covariance is {covariance!r}; choose {' or '.join(KINDS)}.")
        kind = UnderdampedMarginals if underdamped else KINDS[covariance]
        self.marginals: AbstractMarginals = kind(curves, context_size, latent_size, self.initial_log_var)
        if not underdamped:
            probe = self.prior_mean.detach()[None]
            sde.in_coordinates(torch.zeros_like(probe[:, :1]), probe)  # refuses where it cannot be
        self.initial = nn.Identity()  # the start is a marginal like every other

    def match(
        self,
        context: Context,
        times: Float[Tensor, "#batch bin"],
        observed_bins: int,
        matching: Matching,
    ) -> Match:
        sde, bins = self.sde.prepared(), self.matched_bins(times.shape[1], observed_bins)
        refuse_single_bin(bins)
        batch, clock = context.shape[0], self.clock(times[:, :bins])[..., 0].t()
        part = whole(batch, clock.device)
        if isinstance(context, LocalContext):
            part, like = context.part, context.steps
        else:
            context = like = context[:, :bins]
        place = Place(self.marginals, sde, context, clock.to(like.dtype), part)
        bin = some_bins(part, bins, matching.observations)
        begins = part.index == 0
        first = bin[:, :1].masked_fill(begins[:, None], 0)
        moments = place.in_bins(torch.cat([first, bin], 1))  # at once: one gradient of all bins
        noise = antithetic(bin.shape, self.output_size, like)
        states = self.marginals.draw(sde, moments, nn.functional.pad(noise, (0, 0, 1, 0)))[:, 1:]
        start = self.marginals.start(sde, moments)
        kl_initial = gaussian_sample(*start, self.prior_mean, self.prior_log_var, Estimator.ANALYTIC)[1] * begins * part.of
        if matching.bound is Bound.CONTINUOUS:
            kl_path = self._divergence_rate(place, matching.points)
        else:
            kl_path = self._divergence_of_steps(place, matching.points)
        decoded = states if self.decode_coordinates else sde.from_coordinates(states)
        return Match(decoded, bin, {"kl_initial": kl_initial, "kl_path": kl_path})

    def start_at(self, weight: Float[Tensor, "target state"], offset: Float[Tensor, " target"]) -> None:
        """Let the posterior's mean begin where a linear read-out gives what the context ends with, by least squares."""
        probe = torch.linspace(-1.0, 1.0, self.output_size).to(weight)[None]
        if self.decode_coordinates or torch.equal(self.sde.prepared().from_coordinates(probe), probe):
            inverse = torch.linalg.pinv(weight.detach())
            self.marginals.start_through(inverse, -inverse @ offset.detach())

    def matched_bins(self, bins: int, observed_bins: int) -> int:
        return bins if self.steer_forward else observed_bins

    @property
    def reach(self) -> int | None:
        reaches = [part.reach for part in self.marginals.modules() if isinstance(part, AbstractCurves)]
        return None if None in reaches else max(filter(None, reaches))

    def _divergence_rate(self, place: "Place", points: int) -> Float[Tensor, " batch"]:
        """The path's divergence in continuous time, from so many points in time."""
        intervals = place.clock.shape[1] - 1
        where = stratified(place.part, points) * intervals  # counted in bins
        begin, end = (step_ends(place.clock, n, 1) for n in (where.long(), where.long() + 1))
        point = place.at(torch.lerp(begin, end, where.frac().to(begin.dtype)))
        u = self.marginals.control(place.sde, point.t, point.moments, antithetic(point.t.shape, self.output_size, point.t))
        return intervals * 0.5 * (u.square().sum(-1) * (end - begin)).mean(1)

    def _divergence_of_steps(self, place: "Place", points: int) -> Float[Tensor, " batch"]:
        """The divergence of the solver's steps, from so many of them."""
        steps = (place.clock.shape[1] - 1) * self.substeps
        step = some_bins(place.part, steps, points)
        here, there = (place.at(step_ends(place.clock, n, self.substeps)) for n in (step, step + 1))
        dt = there.t - here.t
        taken = self.marginals.steps(place.sde, here.t, dt, here.moments, there.moments)
        y = self.marginals.draw(place.sde, here.moments, antithetic(here.t.shape, self.output_size, here.t))
        u = self.marginals.steer(place.sde, y, *taken.features)
        scale = self.marginals.scale(taken.scale)
        return steps * (0.5 * (u.square().sum(-1) * dt + scale.square()) - scale.log_det()).mean(1)

    def _condition(
        self,
        sde: AbstractSDE,
        context: Float[Tensor, "bin batch context"],
        grid: Tensor | None,
        bank: OUBank | None,
        evidence: Evidence | None,
        samples: int = 1,
    ) -> tuple[tuple[Tensor, Scale], Plan | None]:
        refuse_single_bin(len(context))
        assert grid is not None
        trials = context.shape[1] // samples  # the same under each sample
        ends = grid[..., 0].t()[:trials].to(context.dtype)
        bins, everything = ends[:, :: self.substeps], whole(trials, ends.device)
        place = Place(self.marginals, sde, context[:, :trials].transpose(0, 1), bins, everything)
        here, there = place.at(ends[:, :-1]), place.at(ends[:, 1:])
        taken = self.marginals.steps(sde, here.t, there.t - here.t, here.moments, there.moments)
        features = tuple(part.transpose(0, 1) for part in taken.features)
        scale = self.marginals.scale(taken.scale.transpose(0, 1)).repeated(samples)
        mean, spread = self.marginals.start(sde, here.moments)
        plan = Plan(_FollowMarginals(self.marginals, sde, samples), features, scale)
        return (mean.repeat(samples, 1), spread.repeated(samples)), plan


class Point(NamedTuple):
    """Times, and the marginals then."""

    t: Tensor
    moments: Any


class Place(NamedTuple):
    """Where marginals are asked for: of which equation, given which context of bins at which times, in which part of them."""

    marginals: AbstractMarginals
    sde: AbstractSDE
    context: Context
    clock: Tensor
    part: Part

    def at(self, t: Float[Tensor, "#batch point"]) -> Point:
        """The marginals at the times `t`."""
        return Point(t, self.marginals.moments(self.sde, self.context, self.clock, t))

    def in_bins(self, bins: Int[Tensor, "batch point"]) -> Any:
        """The marginals in some bins."""
        return self.marginals.moments_in(self.sde, self.context, self.clock, bins)


def antithetic(points: torch.Size, size: int, like: Tensor) -> Float[Tensor, "batch point {size}"]:
    """Standard normals for each point: every other one is the one before with its signs turned, so that what is odd in them
    nearly cancels between neighbours."""
    batch, n = points
    half = normals((batch, -(-n // 2), size), like)
    return torch.stack([half, -half], 2).flatten(1, 2)[:, :n]


def stratified(part: Part, points: int) -> Float[Tensor, "batch points"]:
    """Points of a part of [0, 1), one from each of as many stretches of equal length."""
    device = part.index.device
    within = uniforms((len(part.index), points), torch.empty((), dtype=torch.float64, device=device))
    return part.at((torch.arange(points, device=device) + within) / points)


def some_bins(part: Part, bins: int, n: int | None) -> Int[Tensor, "batch n"]:
    """`n` bins of a part of each trial, one from each of as many stretches of equal length, so that each has the same chance;
    all of them where there are no more."""
    most = -(-bins // part.of)
    if part.of == 1 and (n is None or n >= bins):
        return torch.arange(bins, device=part.index.device).expand(len(part.index), -1)
    return (stratified(part, min(n or most, most)) * bins).long().clamp(max=bins - 1)


def step_ends(
    clock: Float[Tensor, "#batch bin"], steps: Int[Tensor, "batch point"], substeps: int
) -> Float[Tensor, "batch point"]:
    """When some steps begin, of `substeps` equal ones from each bin to the next; the last of all ends in the last bin."""
    bins = steps.div(substeps, rounding_mode="floor").clamp(max=clock.shape[1] - 2)
    begin, end = (clock.expand(len(steps), -1).gather(1, n) for n in (bins, bins + 1))
    return torch.lerp(begin, end, (steps - bins * substeps).to(clock.dtype) / substeps)


def refuse_single_bin(bins: int) -> None:
    """Raises:
    ConfigError: there is no path through one bin.
    """
    if bins < 2:
        raise ConfigError("A trial of one observed bin has no path to match: give more, or choose objective=elbo.")


def refuse_other_noise(sde: AbstractSDE, brownian: bool, name: str) -> None:
    """Raises:
    ConfigError: Gaussian marginals do not say what drives the equation.
    """
    if not brownian:
        raise ConfigError(
            "Noise that remembers moves a state and its memory by one number per step, so that a free marginal is the law of "
            "no path: set model/noise=brownian, or choose objective=elbo, which simulates."
        )
    if not isinstance(sde, UnderdampedLangevin) and sde.noise not in (NoiseType.ADDITIVE, NoiseType.DIAGONAL):
        raise ConfigError(
            f"Marginals give the drift where each state has a noise of its own, but that of {name} is {sde.noise.value}: "
            "choose other model/dynamics, or objective=elbo, which simulates."
        )
    if sde.calculus is not Calculus.ITO:
        raise ConfigError(
            f"The drift that marginals give is Itô's, but {name} is meant in the sense of {sde.calculus.value}: choose other "
            "model/dynamics, or objective=elbo, which simulates."
        )
