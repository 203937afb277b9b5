"""Centred inputs: the encoder reads deviations from the training means, and what is hidden reads as them."""

import pytest
import torch

from neuralsde.evaluation.load import load
from neuralsde.training.build import instantiate_part
from neuralsde.training.fit import build_module, fill_in_sizes, start
from neuralsde.workflow import train
from tests.helpers.tiny import tiny_config


def started(run_dir, centred):
    """A module at its start, and a batch."""
    config = tiny_config(run_dir, f"model.centre_inputs={str(centred).lower()}")
    data = instantiate_part(config, "data")
    fill_in_sizes(config, data.spec)
    data.setup()
    torch.manual_seed(0)
    module = build_module(config, data.spec)
    start(module, data, config)
    return module, data, data.train_set.__getitems__([0, 1, 2, 3])


@pytest.mark.parametrize("centred", [True, False])
def test_a_hidden_count_reads_as_the_mean_and_a_kept_one_as_a_scaled_deviation(tmp_path, centred):
    module, data, batch = started(tmp_path, centred)
    mean = torch.from_numpy(data.data.train.heldin).mean((0, 1)) if centred else torch.zeros(())
    inputs, seen, learned, _ = module.mask(batch)
    read = module.model.centred(inputs, seen)
    torch.testing.assert_close(read, torch.where(seen, (batch.values - mean) / 0.7, 0.0))
    hidden = learned[:, : read.shape[1], : read.shape[2]]
    assert hidden.any()
    assert (read[hidden] == 0).all()
    assert bool((batch.values[seen] == 0).any())  # which reads as less than the mean
    assert bool((read[seen & (batch.values == 0)] < 0).all()) == centred


@pytest.mark.parametrize("centred", [True, False])
def test_a_unit_s_level_does_not_reach_the_context(tmp_path, centred):
    """Three more spikes of one unit in every bin, its mean included, change the context of uncentred inputs alone."""
    module, _, batch = started(tmp_path, centred)
    more = torch.zeros(batch.values.shape[2])
    more[4] = 3.0
    with torch.no_grad():
        before = module.eval().model.encode(batch.values, batch.seen, batch.times)
        if module.model.centre is not None:
            module.model.centre += more
        after = module.model.encode(batch.values + more, batch.seen, batch.times)
    assert torch.allclose(before, after, atol=1e-5) == centred


def test_a_unit_that_another_session_lacks_reads_as_its_mean_there(tmp_path):
    module, _, batch = started(tmp_path, True)
    seen = batch.seen.clone()
    seen[..., 2] = False
    read = module.model.centred(torch.where(seen, batch.values, 0.0), seen)
    assert (read[..., 2] == 0).all()
    assert (read[..., 3] != 0).any()


def test_a_checkpoint_keeps_the_means(tmp_path):
    run_dir = tmp_path / "run"
    train(tiny_config(run_dir, "model.centre_inputs=true"))
    run = load(run_dir)
    centre = run.module.model.centre
    assert centre is not None
    torch.testing.assert_close(centre, torch.from_numpy(run.data.train.heldin).mean((0, 1)))
    told = run.predict("eval", n_samples=2).rates
    run.module.model.centre = centre + 1
    assert abs(run.predict("eval", n_samples=2).rates - told).max() > 1e-4  # predictions read it
