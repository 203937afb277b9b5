"""Impossible settings are refused before anything is read or written; damaged files leave what was there."""

import resource

import pytest
import torch
from omegaconf import OmegaConf

from neuralsde.errors import CheckpointError, ConfigError
from neuralsde.training.checkpoint import AtomicCheckpointIO, read_checkpoint
from neuralsde.training.settings import check_switches
from neuralsde.workflow import train
from tests.helpers.tiny import tiny_config


@pytest.mark.parametrize(
    "setting",
    [
        "seed=-1",
        "seed=x",
        "training.steps=0",
        "training.monitor=train/loss",
        "training.ema_decay=1.5",
        "training.val_samples=0",
        "trainer.max_epochs=0",
        "trainer.max_epochs=1.5",
        "trainer.check_val_every_n_epoch=null",
        "trainer.accelerator=quantum",
        "trainer.devices=0",
        "trainer.precision=nonsense",
        "predict.n_samples=many",
        "predict.average=mode",
        "objective.kl_weight=-1",
        "data.batch_size=2.5",
        "data.eval_batch_size=0",
        "model.dynamics.latent_size=0",
        "model.dynamics.sde.friction=0",
        "run_dir=null",
        "~schedule",
    ],
)
def test_impossible_settings_leave_no_folder(tmp_path, setting):
    with pytest.raises(ConfigError):
        train(tiny_config(tmp_path / "run", setting))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["+optimizer.betas=[0.9]"], r"list index out of range; check optimizer\.\*\."),
        (["optimizer.lr=-1"], r"Invalid learning rate: -1; check optimizer\.\*\."),
        (
            ["+optimizer.nesterov=true"],
            r"'nesterov'; leave out optimizer\.nesterov, with ~optimizer\.nesterov where it is set\.",
        ),
        (["optimizer=lbfgs"], "takes one group of parameters"),
    ],
)
def test_an_optimiser_that_cannot_be_built_leaves_no_folder(tmp_path, settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        train(tiny_config(tmp_path / "run", *settings))
    assert not (tmp_path / "run").exists()


def test_a_setting_that_a_part_does_not_have_is_named(tmp_path):
    with pytest.raises(
        ConfigError, match=r"^model\.encoder\.fill is set, but GRUEncoder has no such setting: leave it out, with ~"
    ):
        train(tiny_config(tmp_path / "run", "+model.encoder.fill=lines"))
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("settings") / "run"
    train(tiny_config(folder, "training.baselines=false"))
    return folder


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("model.encoder.hidden_size=16", r"model\.encoder\.hidden_size=64, but this run asks for 16"),
        ("model/decoder=mlp", r"trained with model\.decoder"),
        ("data.n_neurons=20", r"spec\.\w+=\d+, but this run asks for"),
        ("optimizer=adam", r"trained with optimizer\._target_"),
        ("training.ema_decay=null", r"training\.ema_decay=0\.99, but this run asks for None"),
        ("seed=3", r"seed=0, but this run asks for 3"),
        ("trainer.max_epochs=1", "has done 2 epochs already"),
    ],
)
def test_resuming_with_other_settings_is_refused(run_dir, setting, sentence):
    before = {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}
    with pytest.raises(CheckpointError, match=sentence):
        train(tiny_config(run_dir, "training.baselines=false", "ckpt=last", setting))
    assert {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("model.centre_inputs=tru", r"model\.centre_inputs is tru; "),
        ("model.encoder.read_gaps=yse", r"model\.encoder\.read_gaps is yse; "),
        ("model.decode_context=2", r"model\.decode_context is 2; "),
        ("model.dynamics.control.narrows=null", r"model\.dynamics\.control\.narrows is null; "),
        ("+optimizer.amsgrad=maybe", r"optimizer\.amsgrad is maybe; "),
        ("training.start_at_mean_rates=yse", r"training\.start_at_mean_rates is yse; "),
        ("logger.wandb=yse", r"logger\.wandb is yse; "),
    ],
)
def test_switches_are_true_or_false(tmp_path, setting, sentence):
    with pytest.raises(ConfigError, match=f"^{sentence}give (true or false|one of True, False)"):
        train(tiny_config(tmp_path / "run", setting))
    assert not (tmp_path / "run").exists()


def test_switches_may_be_numbers_of_that_meaning_or_left_to_the_data():
    part = {"_target_": "neuralsde.models.LatentModel", "decode_context": 0, "centre_inputs": "${by_kind:true,false}"}
    check_switches(OmegaConf.create({"model": part}))
    with pytest.raises(ConfigError, match=r"^model\.decode_context is no; "):
        check_switches(OmegaConf.create({"model": part | {"decode_context": "no"}}))


def test_resuming_what_was_trained_before_a_setting_came_says_so(run_dir, tmp_path):
    checkpoint = read_checkpoint(run_dir / "checkpoints" / "last.ckpt")
    checkpoint["neuralsde"]["config"]["model"].pop("centre_inputs")
    torch.save(checkpoint, tmp_path / "older.ckpt")
    with pytest.raises(CheckpointError, match=r"model\.centre_inputs=\(not set\), but this run asks for False: repeat"):
        train(tiny_config(tmp_path / "run", "training.baselines=false", f"ckpt={tmp_path / 'older.ckpt'}"))
    assert not (tmp_path / "run").exists()


def test_resuming_with_weights_of_another_version_is_refused(run_dir, tmp_path):
    checkpoint = read_checkpoint(run_dir / "checkpoints" / "last.ckpt")
    gone = next(iter(checkpoint["state_dict"]))
    checkpoint["state_dict"].pop(gone)
    torch.save(checkpoint, tmp_path / "older.ckpt")
    with pytest.raises(
        CheckpointError, match=rf"other weights than this version makes of the same settings \({gone}, 1 in all\)"
    ):
        train(tiny_config(tmp_path / "run", "training.baselines=false", f"ckpt={tmp_path / 'older.ckpt'}"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut"])
def test_resuming_from_a_damaged_checkpoint_is_refused(tmp_path, content):
    damaged = tmp_path / "damaged.ckpt"
    damaged.write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged or no checkpoint"):
        train(tiny_config(tmp_path / "run", f"ckpt={damaged}"))
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_without_its_record_is_not_ours(tmp_path):
    torch.save({"state_dict": {}, "epoch": 1, "neuralsde": {"spec": {"bins": 3}, "config": {}}}, tmp_path / "old.ckpt")
    with pytest.raises(CheckpointError, match="another version of neuralsde"):
        read_checkpoint(tmp_path / "old.ckpt")


def test_a_full_disk_keeps_the_earlier_checkpoint(tmp_path):
    """A limit on the size of files stands for a full disk: the second, larger checkpoint does not fit."""
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"epoch": 1}, path)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(CheckpointError, match="cannot be written"):
            AtomicCheckpointIO().save_checkpoint({"x": torch.ones(100_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
