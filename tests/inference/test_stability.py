"""The stable families train through 2000 steps at ten times their time step."""

import pytest
import torch

from benchmarks.stability import FAMILIES, prepared, train
from neuralsde.errors import DivergenceError


@pytest.mark.slow
@pytest.mark.parametrize("dynamics", FAMILIES)
def test_two_thousand_steps_at_ten_times_the_time_step_stay_finite(dynamics):
    small = [
        "data.n_train=128",
        "data.n_eval=32",
        "data.batch_size=16",
        "model.encoder.hidden_size=16",
        "model.dynamics.latent_size=4",
    ]
    module, data = prepared(dynamics, 10.0, *small, "data.observed_bins=8", "data.forward_bins=4")
    assert train(module.train(), data, 2000)
    with torch.no_grad():
        latents = module.eval()(data.eval_set.__getitems__(list(range(32)))).latents
    assert latents.isfinite().all()
    if dynamics == "geometric":
        assert (latents > 0).all()


def test_a_family_that_is_not_held_can_explode_at_such_a_step():
    """The control: the theory form, from which the held nets differ, leaves the finite numbers within 200 untrained steps."""
    little = ["data.n_train=8", "data.n_eval=8", "data.system.substeps=4"]
    module, _ = prepared("langevin_type", 1.0, "model.dynamics.sde.sigma=null", *little)
    held, _ = prepared("langevin_type", 1.0, *little)
    with torch.no_grad():
        for wild in (module, held):
            for parameter in wild.model.dynamics.sde.gamma_net.parameters():
                parameter.mul_(8.0)
        times = 2.0 * torch.arange(200)[None]
        with pytest.raises(DivergenceError, match="stopped being finite"):
            module.model.dynamics.from_prior(4, times)
        assert held.model.dynamics.from_prior(4, times).isfinite().all()
