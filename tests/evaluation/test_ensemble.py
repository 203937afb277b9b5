"""Several checkpoints that predict together."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import neuralsde
from neuralsde.errors import CheckpointError, ConfigError
from neuralsde.evaluation.ensemble import Ensemble

SERIES = next((Path(__file__).parents[1] / "data").glob("fractional-*.ckpt"))
STORED = next((Path(__file__).parents[1] / "data").glob("langevinflow-*.ckpt"))


@pytest.fixture(scope="module")
def runs():
    """One checkpoint twice, the second with other weights."""
    first, second = (neuralsde.load(STORED) for _ in range(2))
    for value in second.module.state_dict().values():
        value.mul_(0.9)
    return first, second


def test_rates_are_averaged_and_latents_lie_side_by_side(runs):
    together, alone = Ensemble.of(runs).predict(n_samples=2), [run.predict(n_samples=2) for run in runs]
    np.testing.assert_allclose(together.rates, (alone[0].rates + alone[1].rates) / 2, rtol=1e-6)
    np.testing.assert_array_equal(together.latents, np.concatenate([one.latents for one in alone], axis=-1))
    assert not np.allclose(alone[0].rates, alone[1].rates)
    assert together.coordinates is not None


def test_forecasts_are_averaged():
    runs = [neuralsde.load(SERIES) for _ in range(2)]
    runs[1].module.model.likelihood.load_state_dict(
        {k: 0.9 * v for k, v in runs[1].module.model.likelihood.state_dict().items()}
    )
    together, alone = Ensemble.of(runs).forecast(3, n_samples=2), [run.forecast(3, n_samples=2) for run in runs]
    np.testing.assert_allclose(together.rates, (alone[0].rates + alone[1].rates) / 2, rtol=1e-6)


def test_names_of_conditions_and_trials_of_ones_own_are_kept(runs):
    both = Ensemble.of(runs)
    named, own = both.predict("eval", n_samples=2), both.predict(both.data.eval, n_samples=2)
    np.testing.assert_array_equal(named.rates, own.rates)
    assert named.coordinates.condition_names == runs[0].predict("eval", n_samples=2).coordinates.condition_names


def test_quantiles_are_not_averaged(runs):
    for settings in ({"interval": 0.5}, {"quantiles": (0.5,)}):
        with pytest.raises(ConfigError, match="intervals or quantiles cannot be averaged"):
            Ensemble.of(runs).predict(**settings)


def test_other_data_are_refused(runs, tmp_path):
    other = tmp_path / "other.ckpt"
    shutil.copy(STORED, other)
    same = neuralsde.load(other, data={"batch_size": 4})
    assert len(Ensemble.of([runs[0], same]).runs) == 2  # batches are no part of the trials
    with pytest.raises(CheckpointError, match=r"were not trained on the same trials and units"):
        Ensemble.of([runs[0], neuralsde.load(other, data={"mean_count": 2.0})])
