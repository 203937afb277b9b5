"""A run that is stopped and resumed sees the batches, the noise and the losses of the run that never stopped."""

import csv
from pathlib import Path

import pytest
import torch

from neuralsde.errors import CheckpointError, ConfigError, DivergenceError
from neuralsde.training import keep
from neuralsde.training.keep import MovableCheckpoint
from neuralsde.workflow import train
from tests.helpers.tiny import tiny_config, tiny_simulated


def losses(run_dir):
    with (run_dir / "metrics.csv").open(newline="") as file:
        return {int(row["epoch"]): (float(row["train/loss"]), row["val/nll"]) for row in csv.DictReader(file)}


def weights(run_dir):
    return torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


REAL = [*tiny_simulated("double_well"), "model=latent_sde", "model/likelihood=gaussian"]
PLATEAU = ["schedule=plateau", "schedule.patience=0", "schedule.factor=0.5", "optimizer.lr=0.1"]


@pytest.mark.parametrize(
    "settings",
    [
        ["schedule=constant", "training.ema_decay=0.9"],
        pytest.param(["schedule=constant", "training.ema_decay=null"], marks=pytest.mark.slow),  # as "plateau" does
        [*PLATEAU, "training.ema_decay=null"],
        pytest.param([*REAL, "schedule=constant"], marks=pytest.mark.slow),  # as `test_stop.py` does in the midst of an epoch
    ],
    ids=["ema", "no_ema", "plateau", "real"],
)
def test_resumed_run_equals_the_one_that_never_stopped(tmp_path, settings):
    short = ["data.observed_bins=5", "data.forward_bins=1"]
    common = [*settings, *short, "trainer.check_val_every_n_epoch=1", "training.baselines=false"]
    train(tiny_config(tmp_path / "whole", *common, "trainer.max_epochs=4"))
    train(tiny_config(tmp_path / "parts", *common, "trainer.max_epochs=2"))
    train(tiny_config(tmp_path / "parts", *common, "trainer.max_epochs=4", "ckpt=last"))
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    torch.testing.assert_close(weights(tmp_path / "parts"), weights(tmp_path / "whole"), rtol=0, atol=0)


def test_a_run_that_was_moved_keeps_its_best_score(tmp_path, monkeypatch):
    monkeypatch.setattr(keep, "readable", Path.is_file)
    best = tmp_path / "there" / "best.ckpt"
    state = {
        "dirpath": str(tmp_path / "here"),
        "best_model_path": str(tmp_path / "here" / "best.ckpt"),
        "best_model_score": torch.tensor(0.3),
        "best_k_models": {str(tmp_path / "here" / "best.ckpt"): torch.tensor(0.3)},
    }
    new = MovableCheckpoint(best.parent, filename="best", monitor="val/elbo", mode="max")
    new.load_state_dict(state)
    assert new.best_model_score is None  # another's checkpoint: its best is not here
    best.parent.mkdir()
    best.touch()
    new.load_state_dict(state)
    assert new.best_model_score == 0.3
    assert new.best_k_models == {str(best): torch.tensor(0.3)}


def test_other_seed_gives_other_losses(tmp_path):
    """Control of the test above."""
    for seed in (0, 1):
        train(tiny_config(tmp_path / str(seed), f"seed={seed}", "training.baselines=false", "trainer.max_epochs=1"))
    assert losses(tmp_path / "0") != losses(tmp_path / "1")


def test_last_without_a_run_says_what_to_do(tmp_path):
    with pytest.raises(CheckpointError, match="give run_dir= of the run to go on with"):
        train(tiny_config(tmp_path, "ckpt=last"))


def test_exploding_loss_stops_with_the_reason(tmp_path):
    with pytest.raises(DivergenceError, match=r"training loss became (inf|nan) in epoch \d"):
        train(tiny_config(tmp_path, "optimizer.lr=1e4", "trainer.gradient_clip_val=null", "trainer.max_epochs=30"))


def test_unknown_weights_are_refused_before_training(tmp_path):
    with pytest.raises(ConfigError, match=r"predict\.weights is newest; give one of best, last"):
        train(tiny_config(tmp_path, "predict.weights=newest"))
