"""bf16: layers compute in it; what a solver adds up, divergences, likelihoods and the loss stay in single precision."""

import csv

import pytest
import torch

from neuralsde.training.fit import build_module, fill_in_sizes
from neuralsde.workflow import train
from tests.helpers.tiny import TINY_LORENZ, light_config, light_data, tiny_config, tiny_simulated

BF16 = ["trainer.precision=bf16-mixed"]
REAL = [*tiny_simulated("stochastic_lorenz"), "model=latent_sde", "model/likelihood=gaussian"]


def losses(run_dir):
    with (run_dir / "metrics.csv").open(newline="") as file:
        return [float(row["train/loss"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize("words", [[], REAL, [*REAL, "model/noise=fractional"]], ids=["counts", "real", "fractional"])
@pytest.mark.slow
def test_training_in_bf16_follows_single_precision(words, tmp_path):
    common = [*words, "training.baselines=false", "objective.kl_ramp_epochs=0", "trainer.max_epochs=2"]
    train(tiny_config(tmp_path / "single", *common))
    train(tiny_config(tmp_path / "half", *common, *BF16))
    single, half = losses(tmp_path / "single"), losses(tmp_path / "half")
    assert half == pytest.approx(single, rel=0.02)
    assert half != single  # some of it has indeed been computed in bf16


@pytest.mark.parametrize("words", [TINY_LORENZ, REAL, [*REAL, "model/noise=fractional"]], ids=["counts", "real", "fractional"])
def test_sums_and_states_stay_in_single_precision(words):
    config, data = light_config(*words), light_data(*words)
    fill_in_sizes(config, data.spec)
    module = build_module(config, data.spec)
    module.log_dict = lambda *_, **__: None
    seen = {}
    module.model.encoder.register_forward_hook(lambda part, given, context: context.bfloat16())  # what a GPU's GRU hands on
    module.model.dynamics.register_forward_hook(lambda part, given, path: seen.update(path=path))
    with torch.autocast("cpu", torch.bfloat16):
        done = module.loss(data.train_set.__getitems__([0, 1, 2]))
    assert seen["path"].states.dtype == torch.float32
    assert {kl.dtype for kl in seen["path"].kl.values()} == {torch.float32}
    assert done.log_prob.dtype == torch.float32
    assert done.loss.total.dtype == torch.float32
