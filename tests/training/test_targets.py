"""What configs and checkpoints of strangers may make a program do: nothing but build our own parts."""

import os
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

import neuralsde
from neuralsde.cli.trust import VARIABLE, names, remember, trusted
from neuralsde.errors import CheckpointError, ConfigError
from neuralsde.training.targets import check_targets, fault_of, refuse_foreign_targets, refuse_own_trust
from tests.helpers.tiny import composed

STORED = Path(__file__).parents[1] / "data" / "langevinflow-0.1.0.ckpt"


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "functools.partial",
        "torch.load",
        "neuralsde.load",  # would read another checkpoint, with trust of its own
        "neuralsde.workflow.train",
        "neuralsde.workflow.os.system",
        "neuralsde.files.write_atomically",
        "neuralsde.evaluation.extras.needed",  # imports what it is told to
        "neuralsde.datamodules.nwb.download.download",
        "neuralsde.datamodules.nwb.download.Request",
        "neuralsde.datamodules.lorenz.LorenzData.load_from_checkpoint",  # Lightning's, which unpickles
        "neuralsde.datamodules.nwb.cache.Cache.store",
        "neuralsde.nn.mlp.MLP.__init__.__globals__",
        "neuralsde.nn.mlp.nn.Linear",
        "neuralsde.sde",
        "neuralsde_of_a_stranger.X",
        "torch.optim.lr_scheduler.warnings.warn",
        "torch.optim.swa_utils.AveragedModel",
        "neuralsde..sde.Neural",
        "",
    ],
)
def test_what_may_not_be_built(target):
    assert fault_of(target)


@pytest.mark.parametrize(
    "target",
    ["neuralsde.sde.Neural", "neuralsde.noise.Brownian.of", "torch.optim.AdamW", "neuralsde.training.schedules.constant"],
)
def test_what_may_be_built(target):
    assert fault_of(target) == ""


def test_a_module_in_the_working_folder_is_not_imported(tmp_path, monkeypatch):
    (tmp_path / "evil_module.py").write_text("import pathlib; pathlib.Path('imported').touch()")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match=r"asks for evil_module\.X"):
        refuse_foreign_targets({"a": [{"_target_": "evil_module.X"}]}, "The config", "choose another", error=ConfigError)
    assert not (tmp_path / "imported").exists()
    assert "evil_module" not in sys.modules


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.encoder.extra", {"_target_": "os.system"}),
        ("model.encoder.extra", [1, {"_target_": "os.system", "_partial_": True}]),
        ("model.encoder.extra", "${oc.create:{_target_: os.system}}"),
        ("model.encoder._target_", "${oc.decode:os.system}"),
        ("data._target_", "os.system"),
    ],
)
def test_a_config_of_a_stranger_is_refused_however_it_names_a_target(key, value):
    config = composed("run_dir=x")
    OmegaConf.update(config, key, value, force_add=True)
    with pytest.raises(ConfigError, match=r"asks for os\.system"):
        check_targets(config)


def test_our_own_config_and_trusted_packages_pass():
    check_targets(composed("run_dir=x"))
    foreign = composed("run_dir=x", "+model.encoder.extra={_target_:mypackage.X}")
    check_targets(foreign, ["mypackage."])
    check_targets(foreign, ["mypackage"])
    with pytest.raises(ConfigError, match=r"asks for mypackage\.X"):
        check_targets(foreign, ["mypack"])


def test_sizes_that_are_none_do_not_matter_to_what_is_built():
    config = composed("run_dir=x")
    config.spec = "text"
    check_targets(config)


@pytest.mark.parametrize("name", ["", ".", "..."])
def test_trusting_everything_is_not_possible(name):
    with pytest.raises(ConfigError, match="names of packages"):
        check_targets(composed("run_dir=x"), [name])


def test_trust_comes_from_the_command_line_alone(monkeypatch):
    monkeypatch.setitem(os.environ, VARIABLE, "")
    remember(["data=lorenz", "allow_targets=[mypackage.,other]"])
    assert trusted() == ("mypackage.", "other")
    assert names("a., b") == ("a.", "b")
    config = OmegaConf.create({"allow_targets": ["evil."], "seed": 0})
    with pytest.raises(ConfigError, match="counts on the command line alone"):
        refuse_own_trust(config, trusted())
    config.allow_targets = ["mypackage."]
    refuse_own_trust(config, trusted())
    assert "allow_targets" not in config  # so that no checkpoint and no config.yaml holds it


def spoilt(tmp_path, change):
    checkpoint = torch.load(STORED, weights_only=True)
    change(checkpoint)
    torch.save(checkpoint, tmp_path / "spoilt.ckpt")
    return tmp_path / "spoilt.ckpt"


def nest(value, depth, width):
    for _ in range(depth):
        value = [value] * width
    return value


def encoder(**settings):
    return lambda checkpoint: checkpoint["neuralsde"]["config"]["model"]["encoder"].update(settings)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (encoder(x="${oc.env:HOME}"), "still to be resolved"),
        (encoder(x=({"_target_": "os.system"},)), "holds a tuple"),
        (encoder(x={"_target_": "os.system"}), r"asks for os\.system"),
        (encoder(x=nest(1, 30, 10)), "more than 20000 settings"),
        (encoder(x=nest(1, 100, 1)), "levels"),
        (encoder(hidden_size=30_000), "describes a model of more than"),
        (encoder(hidden_size="many"), "cannot be built again"),
        (lambda c: c["neuralsde"]["spec"].update(observed_dim=10**12), "gives observed_dim as"),
        (lambda c: c["neuralsde"]["spec"].update(bin_width_s=float("nan")), "gives bin_width_s as nan"),
        (lambda c: c["neuralsde"].update(spec=dict(c["neuralsde"]["spec"], kind="x")), "says that the data are 'x'"),
        (
            lambda c: c["neuralsde"].update(spec=dict(c["neuralsde"]["spec"], kind=[1])),
            "says that the data are|of another version",
        ),
        (lambda c: c["neuralsde"]["config"].update(data=[1]), "holds no complete config"),
        (lambda c: c["state_dict"].update(x=torch.zeros(1).expand(10**12)), "is damaged"),
        (lambda c: c["state_dict"].update(x=torch.eye(3).to_sparse()), "is damaged"),
        (lambda c: c.update(epoch="1"), "is damaged"),
    ],
)
def test_a_hostile_checkpoint_is_refused_in_a_sentence(tmp_path, change, sentence):
    with pytest.raises(CheckpointError, match=sentence):
        neuralsde.load(spoilt(tmp_path, change))


class Evil:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_loading_runs_nothing(tmp_path, monkeypatch):
    path = spoilt(tmp_path, lambda c: c.update(callbacks=Evil()))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="is damaged or no checkpoint"):
        neuralsde.load(path)
    assert not (tmp_path / "executed").exists()
    torch.load(path, weights_only=False)  # the control: without care it runs
    assert (tmp_path / "executed").exists()


def test_a_packed_archive_is_no_checkpoint(tmp_path):
    with zipfile.ZipFile(STORED) as old, zipfile.ZipFile(tmp_path / "bomb.ckpt", "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(CheckpointError, match="is damaged or no checkpoint"):
        neuralsde.load(tmp_path / "bomb.ckpt")
