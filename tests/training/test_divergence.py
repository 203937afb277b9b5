"""A step that is not finite, or absurd, is not taken: it is told, kept, and may be gone back from."""

import json
import shutil

import pytest
import torch

from neuralsde.errors import CheckpointError, ConfigError, DivergenceError
from neuralsde.evaluation.load import load
from neuralsde.training.checkpoint import AtomicCheckpointIO, read_checkpoint
from neuralsde.training.divergence import read_divergence
from neuralsde.training.guard import ENOUGH, StepGuard
from neuralsde.training.module import LatentDynamics
from neuralsde.workflow import train
from tests.helpers.faults import rows, signal_at, state
from tests.helpers.tiny import tiny_config

SHORT = ["data.observed_bins=5", "data.forward_bins=1", "training.baselines=false", "trainer.check_val_every_n_epoch=1"]
SHORT += ["trainer.max_epochs=4", "schedule=constant"]
BACK_OFF = "training.back_off={factor: 0.5, times: 2}"
BATCHES = 3  # per epoch


def spoil_loss(monkeypatch, step, times=1, value=float("nan")):
    """Let the divergence at the start be `value` in one step, for the first `times` that it is taken."""
    left, loss_of = [None] * times, LatentDynamics.loss_of

    def spoilt(module, *words):
        done = loss_of(module, *words)
        if module.global_step != step or not left:
            return done
        left.pop()
        bad = done.loss.total * value
        terms = {**done.loss.terms, "kl_initial": bad.detach()}
        return done._replace(loss=type(done.loss)(bad, terms))

    monkeypatch.setattr(LatentDynamics, "loss_of", spoilt)


@pytest.fixture(scope="module")
def diverged(tmp_path_factory):
    """A run whose loss becomes NaN in the second batch of the third epoch, and what was said."""
    folder = tmp_path_factory.mktemp("diverged") / "run"
    with pytest.MonkeyPatch.context() as patch:
        spoil_loss(patch, step=2 * BATCHES + 1)
        with pytest.raises(DivergenceError) as stop:
            train(tiny_config(folder, *SHORT))
    return folder, str(stop.value)


def test_the_step_is_told_and_kept_and_can_be_repeated(diverged):
    folder, said = diverged
    assert "The training loss became nan in epoch 2, batch 1 (look at the term kl_initial, gradient " in said
    found = read_divergence(folder / "divergence" / "epoch_2_batch_1.ckpt")
    assert str(found.path) in said
    assert found.facts["step"] == 2 * BATCHES + 1
    assert found.optimizer["state"]
    assert json.loads(found.path.with_suffix(".json").read_text())["loss"] == "nan"
    before = load(found.path).module.train()
    assert all(weight.isfinite().all() for weight in before.state_dict().values())
    torch.manual_seed(found.facts["noise_seed"])
    terms = before.loss(found.batch).loss.terms
    assert terms["nll"].item() == pytest.approx(found.facts["terms"]["nll"], rel=1e-6)


def test_the_last_checkpoint_stays_good(diverged, tmp_path):
    folder = shutil.copytree(diverged[0], tmp_path / "run")
    assert state(folder)["epoch"] == 1
    for name in ("last", "best"):
        checkpoint = read_checkpoint(folder / "checkpoints" / f"{name}.ckpt")
        assert all(v.isfinite().all() for part in ("state_dict", "current_model_state") for v in checkpoint[part].values())
    train(tiny_config(folder, *SHORT, "ckpt=auto"))
    assert [row["epoch"] for row in rows(folder)] == ["0", "1", "2", "3"]


def test_a_gradient_that_is_not_finite_is_named(tmp_path, monkeypatch):
    def spoil(module, loss):
        loss.backward()
        module.model.likelihood.readout.weight.grad[0, 0] = torch.inf

    monkeypatch.setattr(LatentDynamics, "backward", spoil)
    with pytest.raises(DivergenceError, match=r"gradient is not, in epoch 0, batch 0 .* gradient likelihood\.readout\.weight"):
        train(tiny_config(tmp_path, *SHORT))


def test_a_loss_out_of_proportion_explodes():
    guard, none = StepGuard(1e3), StepGuard(None)
    fine = torch.ones(())
    for one in (guard, none):
        assert all(one.fault(torch.tensor(-2.0 + 0.1 * (i % 3)), fine, []) is None for i in range(ENOUGH))
    assert guard.fault(torch.tensor(2800.0), fine, []) is None  # below 1000 times 1 + 1.9
    assert "rose to 3.1e+03, where the last ones were about -1.9" in guard.fault(torch.tensor(3100.0), fine, [])
    assert none.fault(torch.tensor(1e30), fine, []) is None


def test_a_norm_that_overflows_while_its_gradient_does_not_is_no_fault():
    assert StepGuard(None).fault(torch.ones(()), torch.tensor(torch.inf), [torch.full((2,), 1e30)]) is None


def test_what_is_not_finite_is_not_written(tmp_path):
    path = tmp_path / "last.ckpt"
    path.write_text("good")
    with pytest.raises(DivergenceError, match=r"w is not finite in epoch 3, and last\.ckpt was not written"):
        AtomicCheckpointIO().save_checkpoint({"epoch": 3, "state_dict": {"w": torch.tensor([0.0, torch.nan])}}, path)
    assert path.read_text() == "good"


def test_a_run_goes_back_with_a_lower_rate_and_says_so(tmp_path, monkeypatch, capsys):
    spoil_loss(monkeypatch, step=2 * BATCHES + 1)
    train(tiny_config(tmp_path, *SHORT, BACK_OFF))
    assert "Back-off 1 of 2: from the end of epoch 2 with 0.5 times its learning rate" in capsys.readouterr().err
    assert [float(row["train/lr_factor"]) for row in rows(tmp_path)] == [1.0, 1.0, 0.5, 0.5]
    record = json.loads((tmp_path / "run.json").read_text())
    assert "epoch 2, batch 1" in record["back_offs"][0]["reason"]
    rates = {group["lr"] for group in state(tmp_path)["optimizer_states"][0]["param_groups"]}
    assert rates == {record["back_offs"][0]["lr"] * 0.5}


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["warmup_cosine", "plateau"])
def test_a_run_that_was_stopped_after_it_went_back_goes_on_likewise(tmp_path, monkeypatch, schedule):
    words = [*SHORT, BACK_OFF, f"schedule={schedule}"]
    with monkeypatch.context() as patch:
        spoil_loss(patch, step=BATCHES + 1)
        train(tiny_config(tmp_path / "whole", *words))
    with monkeypatch.context() as patch:
        spoil_loss(patch, step=BATCHES + 1)
        signal_at(patch, step=2 * BATCHES)
        with pytest.raises(SystemExit):
            train(tiny_config(tmp_path / "parts", *words))
    train(tiny_config(tmp_path / "parts", *words, "ckpt=auto"))
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")
    torch.testing.assert_close(state(tmp_path / "parts"), state(tmp_path / "whole"), rtol=0, atol=0)


def test_going_back_has_an_end(tmp_path, monkeypatch):
    spoil_loss(monkeypatch, step=1, times=3)
    with pytest.raises(DivergenceError, match="epoch 0, batch 1"):
        train(tiny_config(tmp_path, *SHORT, BACK_OFF))
    assert len(json.loads((tmp_path / "run.json").read_text())["back_offs"]) == 2


@pytest.mark.parametrize("setting", ["0.5", "{factor: 2.0, times: 3}", "{factor: 0.5}", "{factor: 0.5, times: 0}"])
def test_an_impossible_back_off_is_refused(tmp_path, setting):
    with pytest.raises(ConfigError, match=r"training\.back_off is .*; give a mapping such as"):
        train(tiny_config(tmp_path, f"training.back_off={setting}"))


def test_another_checkpoint_is_no_divergence(diverged):
    with pytest.raises(CheckpointError, match="keeps no step of a diverging run"):
        read_divergence(diverged[0] / "checkpoints" / "last.ckpt")
