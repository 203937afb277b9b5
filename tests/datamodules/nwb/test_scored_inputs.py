"""Learning from the inputs of trials that are scored: what is learned from, and what cannot be."""

from dataclasses import fields, replace

import numpy as np
import torch

from tests.datamodules.nwb.conftest import datamodule

NAME, FILES = "nlb_mc_maze", "mc_maze"


def set_up(path, **settings):
    data = datamodule(NAME, path, with_inputs_of_scored_trials=True, **settings)
    data.setup()
    return data


def test_inputs_of_evaluation_and_test_trials_follow_the_training_trials(pair):
    data, plain = set_up(pair(FILES)), datamodule(NAME, pair(FILES))
    plain.setup()
    n, spec, test = len(plain.train_set), data.spec, data.read_test()
    observed = np.concatenate([data.data.eval.heldin, test.heldin])
    assert len(plain.train_set) == len(data.data.train)
    assert len(data.train_set) == n + len(data.data.eval) + len(test)
    every = data.train_set.__getitems__(list(range(len(data.train_set))))
    assert torch.equal(every.targets[:n], plain.train_set.targets)
    assert torch.equal(every.known[:n], plain.train_set.known)
    assert torch.equal(every.values[n:], torch.from_numpy(observed))
    assert torch.equal(every.targets[n:, : spec.observed_bins, : spec.observed_dim], every.values[n:])
    assert every.known[n:, : spec.observed_bins, : spec.observed_dim].all()
    assert data.train_dataloader().sampler.n == n + len(observed)


def test_nothing_else_of_scored_trials_can_be_learned_from(pair):
    """Whatever else a scored trial holds may be anything: what is learned from is the same."""
    data, garbled = set_up(pair(FILES)), datamodule(NAME, pair(FILES), with_inputs_of_scored_trials=True)
    scored = garbled.data.eval
    held = [f.name for f in fields(scored) if f.name != "heldin" and getattr(scored, f.name) is not None]
    assert {"heldout", "heldin_forward", "heldout_forward", "behavior", "condition"} <= set(held)
    garbage = {name: np.full_like(getattr(scored, name), 77) for name in held}
    garbled._data = replace(garbled.data, eval=replace(scored, **garbage))
    garbled.setup()
    n, spec = len(data.data.train), data.spec
    for name in ("values", "seen", "targets", "known", "times"):
        assert torch.equal(getattr(garbled.train_set, name), getattr(data.train_set, name))
    assert not data.train_set.known[n:, :, spec.observed_dim :].any()
    assert not data.train_set.known[n:, spec.observed_bins :].any()
    garbled._data = replace(garbled.data, eval=replace(scored, heldin=np.full_like(scored.heldin, 77)))
    garbled.setup()  # the inputs themselves are learned from
    assert not torch.equal(garbled.train_set.values, data.train_set.values)


def test_the_scored_trials_of_the_phase_test_are_taken_once(pair):
    data = set_up(pair(FILES), phase="test")
    assert len(data.train_set) == len(data.data.train) + len(data.data.eval)
