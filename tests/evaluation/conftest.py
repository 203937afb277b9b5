"""A recording small enough to be predicted in a second."""

import pytest

from neuralsde.datamodules.lorenz import LorenzData


@pytest.fixture(scope="session")
def recording():
    """120 trials of six conditions, 8 + 4 units, 20 + 5 bins of 20 ms, true rates known."""
    return LorenzData(
        8, n_conditions=6, trials_per_condition=20, heldout_conditions=2, n_neurons=12, n_heldout=4,
        observed_bins=20, forward_bins=5, mean_count=0.8,
    ).data  # fmt: skip
