"""The datamodule of simulated data with known states and known expected values."""

from collections.abc import Sequence
from dataclasses import replace
from numbers import Real
from typing import NamedTuple

import numpy as np

from neuralsde.datamodules.batches import TrialDataModule
from neuralsde.datamodules.lorenz import above_zero, at_least, split_trials
from neuralsde.datamodules.simulated.observations import AbstractObservation, Expected
from neuralsde.datamodules.simulated.system import AbstractSystem
from neuralsde.datamodules.trials import DataSpec, TrialData, Trials
from neuralsde.errors import ConfigError

CLOSEST = 0.1
"""Least distance of neighbouring irregular times, in bin widths."""


class Simulated(NamedTuple):
    """One split before it is observed: times (trial, bin), states (trial, bin, state), and what draws the rest."""

    times: np.ndarray
    states: np.ndarray
    values: np.random.Generator
    hidden: np.random.Generator


class SimulatedData(TrialDataModule):
    """Trials of any system under any observation, made from `data_seed`, with the true states and expected values.

    Loading, times, states, values and hidden bins of either split are drawn independently of each other: another
    `n_eval`, `eval_drop` or noise changes nothing else. (Units of states and of rates come from the training trials.)

    Args:
        name: of the data.
        batch_size: trials per training batch.
        system: what moves: `Stochastic`, `FractionalOU` or `Chaotic`.
        observation: `Gaussian`, `Poisson`, `Bernoulli` or `Categorical`.
        n_train: training trials.
        n_eval: evaluation trials.
        observed_bins: bins whose values are observed.
        forward_bins: bins after them, to be forecast.
        bin_width_s: time between bins, in seconds; the first is at time 0.
        standardise: give every coordinate of the states zero mean and unit variance over the training trials, before
            they are observed and stored.
        n_heldout: channels, the last ones, that the model never observes.
        train_drop: share of the observed bins of each training trial that are hidden, at random, whole bins at a time:
            NaN in `heldin`. One bin at least stays. The true `rates` are kept.
        eval_drop: the same of evaluation trials.
        seen_bins: the only observed bins that are seen in any trial, counted from 0, or back from -1; None for all.
        irregular: draw the times of each trial: the first is 0, the others are uniform over the duration of a regular
            trial, given that none are closer than a tenth of `bin_width_s`.
        data_seed: seed of all that is drawn.
        seed: seed of the order of the trials.
        eval_batch_size: trials per batch when predicting.

    Raises:
        ConfigError: a setting is impossible, or two do not fit each other.
    """

    def __init__(
        self,
        name: str,
        batch_size: int,
        system: AbstractSystem,
        observation: AbstractObservation,
        n_train: int,
        n_eval: int,
        observed_bins: int,
        forward_bins: int = 0,
        bin_width_s: float = 0.02,
        standardise: bool = True,
        n_heldout: int = 0,
        train_drop: float = 0.0,
        eval_drop: float = 0.0,
        seen_bins: Sequence[int] | None = None,
        irregular: bool = False,
        data_seed: int = 0,
        seed: int = 0,
        eval_batch_size: int = 256,
    ):
        super().__init__(batch_size, seed, eval_batch_size)
        for key, value, least in (
            ("n_train", n_train, 1), ("n_eval", n_eval, 1), ("observed_bins", observed_bins, 1),
            ("forward_bins", forward_bins, 0), ("n_heldout", n_heldout, 0), ("data_seed", data_seed, 0),
        ):  # fmt: skip
            at_least(key, value, least)
        at_least("observed_bins + data.forward_bins", observed_bins + forward_bins, 2)
        above_zero("bin_width_s", bin_width_s)
        for key, share in (("train_drop", train_drop), ("eval_drop", eval_drop)):
            if not isinstance(share, Real) or not 0 <= share < 1:
                raise ConfigError(f"data.{key} is {share}; give a share from 0 to below 1.")
        bins = range(-observed_bins, observed_bins)
        if seen_bins is not None and (not len(seen_bins) or not all(n in bins for n in seen_bins)):
            raise ConfigError(
                f"data.seen_bins is {list(seen_bins)}, but there are {observed_bins} observed bins; give one or more of "
                f"{-observed_bins} to {observed_bins - 1}."
            )
        self.n_channels = observation.channels(system.n_states)
        if n_heldout >= self.n_channels:
            raise ConfigError(
                f"data.n_heldout is {n_heldout}, but there are {self.n_channels} channels; hold out fewer, or give more with "
                "data.observation.n_channels."
            )
        self.data_name, self.system, self.observation, self.kind = name, system, observation, observation.kind
        self.n_train, self.n_eval, self.n_heldout = n_train, n_eval, n_heldout
        self.observed_bins, self.forward_bins, self.bin_width_s = observed_bins, forward_bins, bin_width_s
        self.standardise, self.irregular = standardise, irregular
        self.train_drop, self.eval_drop, self.data_seed = train_drop, eval_drop, data_seed
        self.seen_bins = None if seen_bins is None else list(seen_bins)

    def read(self) -> TrialData:
        """Draw the data; the same `data_seed` draws the same."""
        # A generator of its own for each part, so that asking for more of one changes no other.
        loading, for_train, for_eval = np.random.SeedSequence(self.data_seed).spawn(3)
        train, scored = self.simulate(for_train, self.n_train), self.simulate(for_eval, self.n_eval)
        if self.standardise:
            mean, scale = self.units(train.states)
            train, scored = (split._replace(states=(split.states - mean) / scale) for split in (train, scored))
        expected = self.observation.readout(np.random.default_rng(loading), train.states)
        return TrialData(
            name=self.data_name,
            spec=self.sizes(max(np.diff(split.times, axis=1).max(initial=0.0) for split in (train, scored))),
            train=self.trials(train, expected, self.train_drop, 0),
            eval=self.trials(scored, expected, self.eval_drop, self.n_train),
            source=f"{self.system.name} simulated, {type(self.observation).__name__} observation, data_seed {self.data_seed}",
        )

    def sizes(self, longest_gap_s: float) -> DataSpec:
        """What a model takes from the data."""
        regular = DataSpec(
            self.n_channels - self.n_heldout, self.n_channels, self.observed_bins, self.forward_bins, self.bin_width_s,
            kind=self.kind, n_classes=self.observation.n_classes,
        )  # fmt: skip
        if not self.irregular:
            return regular
        return replace(regular, longest_s=regular.duration_s, longest_gap_s=float(longest_gap_s))

    def simulate(self, seed: np.random.SeedSequence, n: int) -> Simulated:
        """Times and states of `n` trials."""
        for_times, for_states, *rest = (np.random.default_rng(s) for s in seed.spawn(4))
        bins = self.observed_bins + self.forward_bins
        if self.irregular:
            times = irregular_times(for_times, n, bins, self.bin_width_s)
        else:
            times = np.tile(np.arange(bins) * self.bin_width_s, (n, 1))
        return Simulated(times, self.system.states(for_states, times), *rest)

    def units(self, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each coordinate.

        Raises:
            ConfigError: a coordinate never varies.
        """
        mean, scale = states.mean((0, 1)), states.std((0, 1))
        if not (scale > 0).all():
            raise ConfigError(
                f"data.standardise is true, but state {int(np.argmin(scale))} of {self.system.name} never varies; "
                "give it noise or random starts, or data.standardise=false."
            )
        return mean, scale

    def trials(self, split: Simulated, expected: Expected, drop: float, first_id: int) -> Trials:
        """Observed trials of one split."""
        rates = expected(split.states)
        values = self.observation.draw(split.values, rates)
        ids = first_id + np.arange(len(values))
        trials = split_trials(values, rates, None, ids, self.observed_bins, self.n_channels - self.n_heldout, split.states)
        hidden = hidden_bins(split.hidden, len(values), self.observed_bins, drop)
        if self.seen_bins is not None:
            never = np.ones(self.observed_bins, bool)
            never[self.seen_bins] = False
            hidden |= never
        return replace(
            trials,
            heldin=np.where(hidden[..., None], np.float32(np.nan), trials.heldin),
            times=split.times.astype(np.float32) if self.irregular else None,
        )


def irregular_times(rng: np.random.Generator, n: int, bins: int, bin_width_s: float) -> np.ndarray:
    """Times of `n` trials, (trial, bin), as `SimulatedData` describes them."""
    # Uniform times that keep a distance: sorted uniform ones over what the distances leave, then spread apart.
    gap, duration = CLOSEST * bin_width_s, (bins - 1) * bin_width_s
    free = np.sort(rng.uniform(0, duration - (bins - 1) * gap, (n, bins - 1)), axis=1)
    return np.concatenate([np.zeros((n, 1)), free + gap * np.arange(1, bins)], axis=1)


def hidden_bins(rng: np.random.Generator, n: int, bins: int, share: float) -> np.ndarray:
    """Which bins are hidden, (trial, bin), bool: in every trial the share, rounded, of its bins."""
    rank = rng.random((n, bins)).argsort(axis=1).argsort(axis=1)
    return rank < min(round(share * bins), bins - 1)
