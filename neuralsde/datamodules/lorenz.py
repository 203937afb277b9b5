"""The embedded data set: spike counts driven by the Lorenz system, with known rates."""

import math
from numbers import Integral, Real
from typing import Any

import numpy as np

from neuralsde.datamodules.batches import TrialDataModule
from neuralsde.datamodules.lorenz_system import Readout, random_readout, random_starts, trajectories
from neuralsde.datamodules.trials import DataSpec, TrialData, Trials
from neuralsde.errors import ConfigError

EVAL_EVERY = 5
"""One trial in five is an evaluation trial, as in the literature's file."""
LARGEST_MEAN, LARGEST_SD = 1e6, 10.0
"""Mean counts and spreads of log-rates beyond which counts are no longer exact in float32, or overflow."""
LONGEST_BIN = 100.0
"""Lorenz time that a bin may last: some hundred turns."""


class LorenzData(TrialDataModule):
    """Made from `data_seed` in half a second, with the statistics of the file that the literature uses.

    That file (`lfads_lorenz.h5` of the Neural Data Transformer: 65 conditions of 24 trials, 50 bins of 20 ms, 29
    neurons, .257 spikes per bin, 83 % zeros, counts up to 20) came without its generator, so this one is equal in
    kind. As there, every fifth trial is for evaluation, and evaluation trials share their conditions with training
    trials. Beside them, the split `extra["heldout_conditions"]` holds trials of conditions that are never trained on.

    Unlike there, the last `n_heldout` neurons are held out, so that co-bps can be scored: one neuron in six, which
    leaves the rates nearly as well determined as all 29 would. `n_heldout=0` gives the literature's setting.

    Args:
        batch_size: trials per training batch.
        n_conditions: initial states of the Lorenz system.
        trials_per_condition: trials that repeat each of them with fresh Poisson counts.
        heldout_conditions: further conditions, of as many trials each; their number changes nothing in the other
            splits.
        n_neurons: neurons, held-in and held-out ones together.
        n_heldout: neurons whose counts the model never observes.
        observed_bins: bins with observed counts.
        forward_bins: bins after them, to be forecast.
        bin_width_s: width of a bin, in seconds.
        time_scale: Lorenz time per second; at 2, a turn around a lobe takes about 0.37 s.
        mean_count: mean of the rates over conditions, bins and neurons, in counts per bin.
        log_rate_sd: root mean square over neurons of the standard deviation of a neuron's log-rate.
        data_seed: seed of all that is drawn.
        seed: seed of the order of the trials.
        eval_batch_size: trials per batch when predicting.

    Raises:
        ConfigError: a size or scale is impossible.
    """

    def __init__(
        self,
        batch_size: int,
        n_conditions: int = 65,
        trials_per_condition: int = 24,
        heldout_conditions: int = 13,
        n_neurons: int = 29,
        n_heldout: int = 5,
        observed_bins: int = 50,
        forward_bins: int = 0,
        bin_width_s: float = 0.02,
        time_scale: float = 2.0,
        mean_count: float = 0.257,
        log_rate_sd: float = 1.15,
        data_seed: int = 0,
        seed: int = 0,
        eval_batch_size: int = 256,
    ):
        super().__init__(batch_size, seed, eval_batch_size)
        at_least("n_conditions", n_conditions, 1)
        at_least("trials_per_condition", trials_per_condition, 1)
        at_least("n_conditions * data.trials_per_condition", n_conditions * trials_per_condition, EVAL_EVERY)
        at_least("heldout_conditions", heldout_conditions, 0)
        at_least("n_neurons", n_neurons, 1)
        at_least("n_heldout", n_heldout, 0)
        if n_heldout >= n_neurons:
            raise ConfigError(
                f"data.n_heldout is {n_heldout}, but data.n_neurons is {n_neurons}; hold out fewer neurons than there are."
            )
        at_least("observed_bins", observed_bins, 1)
        at_least("forward_bins", forward_bins, 0)
        at_least("data_seed", data_seed, 0)
        at_most("mean_count", above_zero("mean_count", mean_count), LARGEST_MEAN)
        at_most("log_rate_sd", above_zero("log_rate_sd", log_rate_sd), LARGEST_SD)
        above_zero("time_scale", time_scale)
        at_most("time_scale * data.bin_width_s", time_scale * above_zero("bin_width_s", bin_width_s), LONGEST_BIN)
        self.n_conditions, self.trials_per_condition = n_conditions, trials_per_condition
        self.heldout_conditions = heldout_conditions
        self.observed_units, self.n_neurons = n_neurons - n_heldout, n_neurons
        self.observed_bins, self.forward_bins = observed_bins, forward_bins
        self.bin_width_s, self.time_scale = bin_width_s, time_scale
        self.mean_count, self.log_rate_sd = mean_count, log_rate_sd
        self.data_seed = data_seed

    def read(self) -> TrialData:
        """Draw the recording; the same `data_seed` draws the same."""
        # A generator of its own for each part, so that asking for more of one changes no other.
        readout_rng, *rngs = (np.random.default_rng(s) for s in np.random.SeedSequence(self.data_seed).spawn(5))
        seen = self.states(rngs[0], self.n_conditions)
        readout = random_readout(readout_rng, seen, self.n_neurons, self.mean_count, self.log_rate_sd)
        trials = self.trials(rngs[1], readout, seen, 0)
        held = np.arange(len(trials)) % EVAL_EVERY == EVAL_EVERY - 1
        extra = {}
        if self.heldout_conditions:
            unseen = self.states(rngs[2], self.heldout_conditions)
            extra["heldout_conditions"] = self.trials(rngs[3], readout, unseen, self.n_conditions)
        n_conditions = self.n_conditions + self.heldout_conditions
        return TrialData(
            name="lorenz",
            spec=DataSpec(
                self.observed_units, self.n_neurons, self.observed_bins, self.forward_bins, self.bin_width_s,
                n_conditions=n_conditions,
            ),
            train=trials[~held],
            eval=trials[held],
            condition_names=tuple(f"start {i}" for i in range(n_conditions)),
            extra=extra,
            source=f"Lorenz generator, data_seed {self.data_seed}",
        )  # fmt: skip

    def states(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Trajectories of `n` new conditions, (condition, bin, fine step, 3)."""
        bins = self.observed_bins + self.forward_bins
        return trajectories(random_starts(rng, n), bins, self.time_scale * self.bin_width_s)

    def trials(self, rng: np.random.Generator, readout: Readout, states: np.ndarray, first_condition: int) -> Trials:
        """Trials with Poisson counts of the rates of `states` (condition, bin, fine step, 3), ordered by condition."""
        condition = np.repeat(np.arange(len(states)), self.trials_per_condition)
        rates = readout.rates(states)[condition]
        counts = rng.poisson(rates)
        trial_id = first_condition * self.trials_per_condition + np.arange(len(counts))
        means = readout.standardised(states).mean(axis=-2)[condition]
        return split_trials(
            counts, rates, first_condition + condition, trial_id, self.observed_bins, self.observed_units, means
        )


def at_least(name: str, value: Any, least: int) -> None:
    """Raises:
    ConfigError: `value` is no whole number, or below `least`.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ConfigError(f"data.{name} is {value}; give at least {least}, a whole number.")


def above_zero(name: str, value: Any) -> float:
    """`value`.

    Raises:
        ConfigError: it is no number, or not above 0.
    """
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 < float(value) < math.inf:
        raise ConfigError(f"data.{name} is {value}; give a number above 0.")
    return float(value)


def at_most(name: str, value: float, most: float) -> None:
    """Raises:
    ConfigError: `value` is above `most`.
    """
    if value > most:
        raise ConfigError(f"data.{name} is {value:g}; give at most {most:g}.")


def split_trials(
    counts: np.ndarray,
    rates: np.ndarray | None,
    condition: np.ndarray | None,
    trial_id: np.ndarray | None,
    observed_bins: int,
    observed_units: int,
    states: np.ndarray | None = None,
) -> Trials:
    """Trials from counts and rates (trial, bin, unit) and states (trial, bin, state): the first bins and the first units are
    observed."""
    counts = counts.astype(np.float32)
    past, future = counts[:, :observed_bins], counts[:, observed_bins:]
    has_heldout = observed_units < counts.shape[-1]
    return Trials(
        heldin=past[..., :observed_units],
        heldout=past[..., observed_units:] if has_heldout else None,
        heldin_forward=future[..., :observed_units] if future.size else None,
        heldout_forward=future[..., observed_units:] if future.size and has_heldout else None,
        condition=None if condition is None else condition.astype(np.int64),
        rates=None if rates is None else rates.astype(np.float32),
        states=None if states is None else states.astype(np.float32),
        trial_id=None if trial_id is None else trial_id.astype(np.int64),
    )
