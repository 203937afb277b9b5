"""Several processes learn what one learns: gradients, losses, weights and scores."""

import pytest

from tests.helpers.tiny import TINY_LORENZ, tiny_simulated
from tests.helpers.together import alone, in_two_processes

IRREGULAR = (
    *tiny_simulated("stochastic_lorenz"),
    "data.irregular=true",
    "data.train_drop=0.3",
    "model=latent_sde",
    "model/likelihood=gaussian",
)
DROPOUT = ("model=langevinflow", "model/encoder=released_gru", "model/decoder=transformer", "model.decoder.dropout=0.3")
ASIDE = "training.sample_validation={_target_: neuralsde.inference.SampleValidation, share: 0.2}"
ODD = [0, 3, 5, 1, 7]  # three trials for one process and two for the other
CASES = {
    "irregular": (IRREGULAR, ODD),
    "langevinflow": ((*TINY_LORENZ, "model=langevinflow"), ODD),
    "one trial": (IRREGULAR, [4]),  # of which the second process knows nothing
    "slopes": ((*IRREGULAR, "model/encoder=control_path", "model.encoder.slopes=2"), ODD),  # in units of a running mean
    "dropout": ((*TINY_LORENZ, *DROPOUT, "objective=released", ASIDE), ODD),
}
FURTHER = {
    "matching": ((*IRREGULAR, "objective=sde_matching", "objective.observations=4"), ODD),
    "discrete": ((*IRREGULAR, "objective=sde_matching", "objective.bound=discrete"), ODD),
    "samples": ((*IRREGULAR, "objective.samples=3", "objective.estimator=sampled"), ODD),
    "fractional": ((*IRREGULAR, "model/noise=fractional"), ODD),
    "exact": ((*IRREGULAR, "model/dynamics=linear_gaussian", "model/noise=fractional"), ODD),
    "areas": ((*IRREGULAR, "model/dynamics=langevin_type", "model.dynamics.solver._target_=neuralsde.solvers.SRA1"), ODD),
}


def farthest(one, other):
    """Largest difference between two models' gradients, None standing for a weight that does not learn in either."""
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] is None] == [name for name in other if other[name] is None]
    return max((one[name] - other[name]).abs().max().item() for name in one if one[name] is not None)


@pytest.mark.slow
@pytest.mark.parametrize("cases", [CASES, FURTHER], ids=["common", "further"])
def test_two_processes_have_the_gradients_of_one(cases, tmp_path):
    found = in_two_processes(cases, tmp_path)
    whole = {name: alone(*case) for name, case in cases.items()}
    differences = {name: farthest(found[name], gradients) for name, gradients in whole.items()}
    assert max(differences.values()) <= 1e-5, differences
    if "irregular" in cases:  # Control: processes know different numbers of entries, and each takes its own mean.
        assert farthest(found["without exchange"], whole["irregular"]) > 1e-3
