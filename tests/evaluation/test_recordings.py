"""The rows of `benchmarks.recordings`: which held-out unit hangs on one held-in unit, and what the controls are made of."""

import numpy as np
import pytest

from benchmarks.recordings import words_of
from benchmarks.single_units import single_units
from neuralsde.datamodules.trials import DataSpec, TrialData, Trials
from neuralsde.inference import LangevinPull, Pull
from neuralsde.training.fit import build_module, fill_in_sizes
from tests.helpers.tiny import composed

BINS = 20


def trials(rng, n):
    """Held-out unit 0 repeats half of the spikes of held-in unit 2, one bin later; unit 1 shares a slow rate with all."""
    shared = np.exp(np.repeat(rng.normal(size=(n, 4, 1)), BINS // 4, axis=1))
    heldin = rng.poisson(0.5 * shared, (n, BINS, 6)).astype(np.float32)
    heldin[..., 2] = rng.poisson(0.5, (n, BINS))
    copied = rng.binomial(np.pad(heldin[:, :-1, 2], ((0, 0), (1, 0))).astype(int), 0.5)
    heldout = np.stack([copied, rng.poisson(0.5 * shared[..., 0])], -1).astype(np.float32)
    return Trials(heldin, heldout)


def test_a_copy_is_told_from_a_unit_that_follows_them_all():
    """The copy's score is that of its one unit and goes with it; that of the other is more than any one unit's, and stays."""
    rng = np.random.default_rng(0)
    data = TrialData("made", DataSpec(6, 8, BINS, 0, 0.01), trials(rng, 300), trials(rng, 100))

    def predict(shown):
        x = shown.heldin
        late = np.pad(x[:, :-1, 2], ((0, 0), (1, 0)))
        slow = x[..., [0, 1, 3, 4, 5]].reshape(len(x), 4, -1).mean(-1).repeat(BINS // 4, 1)
        return np.concatenate([x, np.stack([late / 2, slow], -1)], -1) + 0.01

    copy, other, both = single_units(data, predict)
    assert (copy["best_unit"], copy["costliest_unit"]) == (2, 2)
    assert copy["alone"] > 0.6 * copy["model"] > 0.5
    assert copy["without"] < 0.1
    assert other["best_unit"] != 2 != other["costliest_unit"]
    assert 0.1 < other["alone"] < 0.8 * other["model"]
    assert 0.8 * other["model"] < other["without"] < other["model"]
    assert both["unit"] == "all"
    assert both["spikes"] == copy["spikes"] + other["spikes"]
    assert both["without"] < both["model"]


@pytest.mark.parametrize(("row", "control", "steers"), [("path", LangevinPull, True), ("ar1_prior_only", Pull, False)])
def test_rows_differ_in_what_they_say_alone(row, control, steers):
    """As many states, forward bins that are learned from either way, and the same training."""
    config = composed("run_dir=unused", *words_of(row, "plan8"))
    fill_in_sizes(config, DataSpec(7, 10, 6, 2, 0.005))
    module = build_module(config, DataSpec(7, 10, 6, 2, 0.005))
    dynamics = module.model.dynamics
    assert (dynamics.output_size, dynamics.steer_forward, dynamics.learns_forward) == (96, steers, True)
    assert type(dynamics.control) is control
    assert getattr(dynamics.control, "from_context", None) is None  # affine in the state
    assert not module.model.decode_context
    assert (config.training.heldout_weight, config.objective.kl_weight) == (4.0, 1e-3)
