"""A recording small enough to be predicted in a second."""

import pytest

from neuralsde.datamodules.lorenz import LorenzData
from neuralsde.datamodules.simulated import Bernoulli, Categorical, Gaussian, SimulatedData, Stochastic
from neuralsde.sde import OrnsteinUhlenbeck
from neuralsde.solvers import EulerMaruyama


@pytest.fixture(scope="session")
def recording():
    """120 trials of six conditions, 8 + 4 units, 20 + 5 bins of 20 ms, true rates known."""
    return LorenzData(
        8, n_conditions=6, trials_per_condition=20, heldout_conditions=2, n_neurons=12, n_heldout=4,
        observed_bins=20, forward_bins=5, mean_count=0.8,
    ).data  # fmt: skip


def simulated(observation, **settings):
    """40 + 10 trials of two Ornstein-Uhlenbeck states, 20 + 5 bins of 100 ms, half of the evaluation bins hidden."""
    system = Stochastic(OrnsteinUhlenbeck(1.0, 0.0, 1.0), EulerMaruyama(), [0.0, 0.0], 0.7, 5)
    return SimulatedData("made", 8, system, observation, 40, 10, 20, 5, 0.1, eval_drop=0.5, **settings).data


@pytest.fixture(scope="session")
def real_data():
    """Real values of two channels and a held-out one."""
    return simulated(Gaussian(0.1, 3, "random"), n_heldout=1)


@pytest.fixture(scope="session")
def label_data():
    """Binary values and class indices (three classes) of two channels, by kind."""
    return {"binary": simulated(Bernoulli(4.0)), "category": simulated(Categorical(3, 8.0))}
