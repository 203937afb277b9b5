"""A run that begins with the model of another run, and the parts that can be learned without simulating."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import OmegaConf

import neuralsde
from neuralsde.cli import CONFIGS
from neuralsde.errors import CheckpointError, ConfigError
from neuralsde.evaluation.predict import predict
from neuralsde.training.build import instantiate_part
from neuralsde.training.fit import fill_in_sizes, prepare_fit
from neuralsde.training.fit_check import check_fit, choices_of
from neuralsde.training.init_from import take_model, words_of_model
from neuralsde.training.run_record import choices
from neuralsde.workflow import train
from tests.helpers.tiny import tiny_config, tiny_overrides, tiny_simulated

QUICK = ["training.baselines=false", "trainer.max_epochs=1", "data.observed_bins=6", "data.forward_bins=2"]
CONSTANT = ["schedule=constant", "optimizer.lr=0.01", "training.ema_decay=null"]
MATCHED = [*QUICK, "model=latent_sde", "objective=sde_matching", "model.dynamics.latent_size=3"]


@pytest.fixture(scope="module")
def matched(tmp_path_factory):
    """A run that was trained without simulating, and that averages its weights."""
    folder = tmp_path_factory.mktemp("matched")
    train(tiny_config(folder, *MATCHED))
    return folder


@pytest.fixture(scope="module")
def tuned(matched, tmp_path_factory):
    """The same model, trained on with the solver's own bound, at another rate and without averages."""
    folder = tmp_path_factory.mktemp("tuned")
    train(tiny_config(folder, *QUICK, f"init_from={matched}", "objective=elbo", *CONSTANT))
    return folder


@pytest.fixture(scope="module")
def whole(matched, tmp_path_factory):
    """The same as `tuned` in two epochs without a stop."""
    folder = tmp_path_factory.mktemp("whole")
    train(tiny_config(folder, *QUICK, f"init_from={matched}", "objective=elbo", *CONSTANT, "trainer.max_epochs=2"))
    return folder


@pytest.fixture(scope="module")
def simulated(matched, tmp_path_factory):
    """A checkpoint whose dynamics can only be simulated; its weights are of no matter."""
    checkpoint = torch.load(matched / "checkpoints" / "best.ckpt", weights_only=True)
    checkpoint["neuralsde"]["config"]["model"]["dynamics"]["_target_"] = "neuralsde.inference.LatentSDE"
    file = tmp_path_factory.mktemp("simulated") / "some.ckpt"
    torch.save(checkpoint, file)
    return file


def prepared(config):
    """What training would begin with; nothing is written."""
    initial = take_model(config, Path(config.run_dir))
    data = instantiate_part(config, "data")
    check_fit(config, data)
    fill_in_sizes(config, data.spec)
    return prepare_fit(config, data, Path(config.run_dir), initial)


def weights(run_dir):
    return torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def test_a_run_begins_with_the_predictions_of_the_other(matched, tmp_path):
    run = neuralsde.load(matched)
    fit = prepared(tiny_config(tmp_path / "run", *QUICK, f"init_from={matched}", "objective=elbo"))
    assert type(fit.module.objective) is neuralsde.inference.ELBO
    assert fit.initial == matched / "checkpoints" / "best.ckpt"
    mine, its = (predict(module.eval(), run.data.eval, n_samples=2).rates for module in (fit.module, run.module))
    np.testing.assert_array_equal(mine, its)
    assert not (tmp_path / "run").exists()


def test_without_it_the_predictions_are_others(matched, tmp_path):
    """Control of the test above."""
    run = neuralsde.load(matched)
    fit = prepared(tiny_config(tmp_path / "run", *MATCHED))
    assert fit.initial is None
    mine, its = (predict(module.eval(), run.data.eval, n_samples=2).rates for module in (fit.module, run.module))
    assert not np.allclose(mine, its)


def test_training_changes_all_parts_of_the_model_that_it_took(matched, tuned):
    before, after = neuralsde.load(matched), neuralsde.load(tuned)
    assert after.config.model == before.config.model
    assert after.config.model.dynamics._target_ == "neuralsde.inference.MatchedSDE"
    assert after.config.objective._target_ == "neuralsde.inference.ELBO"
    parts = (dict(run.module.model.named_children()) for run in (before, after))
    for old, new in zip(*(part.values() for part in parts), strict=True):
        moved = [not torch.equal(a, b) for a, b in zip(old.parameters(), new.parameters(), strict=True)]
        assert any(moved) or not moved, type(new).__name__


def test_the_folder_says_what_the_run_began_with(matched, tuned):
    config = OmegaConf.load(tuned / "config.yaml")
    assert config.init_from == str(matched)
    assert config.model == neuralsde.load(matched).config.model
    assert str(matched) in (tuned / "report.html").read_text()


@pytest.mark.parametrize("how", [pytest.param("config.yaml", marks=pytest.mark.slow), "command"])
def test_a_resumed_run_equals_the_one_that_never_stopped(matched, tuned, whole, tmp_path, how):
    folder = tmp_path / "parts"
    shutil.copytree(tuned, folder)
    command = tiny_config(folder, *QUICK, f"init_from={matched}", "objective=elbo", *CONSTANT)
    assert command.model.dynamics._target_ != "neuralsde.inference.MatchedSDE"  # it composes another model
    config = command if how == "command" else OmegaConf.load(folder / "config.yaml")
    config.merge_with({"ckpt": "last", "run_dir": str(folder), "trainer": {"max_epochs": 2}})
    train(config)
    torch.testing.assert_close(weights(folder), weights(whole), rtol=0, atol=0)
    assert OmegaConf.load(folder / "config.yaml").init_from == str(matched)


def test_resuming_without_it_asks_for_it(matched, tuned, tmp_path):
    config = tiny_config(tuned, *QUICK, "objective=elbo", *CONSTANT, "trainer.max_epochs=2", "ckpt=last")
    with pytest.raises(CheckpointError, match=rf"was trained with init_from={matched}, but this run asks for None: repeat"):
        train(config)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["ckpt={matched}/checkpoints/last.ckpt"],
            "where a run begins and ckpt=.* did not begin there: give one of the two",
        ),
        (["init_from={matched}/nowhere.ckpt"], "There is no checkpoint at .*nowhere.ckpt"),
        (["init_from={matched}/plots"], r"The folder .*plots holds no checkpoints/best\.ckpt"),
        (["init_from=1"], r"init_from is 1; give a run's folder or a \.ckpt file, or null"),
        (
            ["data.n_neurons=14"],
            "for data with observed_dim=9, target_dim=12, but these have observed_dim=11, target_dim=14:",
        ),
        (
            tiny_simulated("double_well"),
            "was trained on counts, but data double_well hold real values: choose data",
        ),
        (["objective.samples=2"], r"objective\.samples is 2; give 1, or more together with objective\.estimator=sampled"),
    ],
    ids=["ckpt", "file", "folder", "number", "sizes", "kind", "objective"],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(matched, tmp_path, words, sentence):
    words = [word.format(matched=matched) for word in (*QUICK, "init_from={matched}", "objective=elbo", *words)]
    with pytest.raises((CheckpointError, ConfigError), match=sentence):
        train(tiny_config(tmp_path / "run", *words))
    assert not (tmp_path / "run").exists()


def damaged(checkpoint, file):
    torch.save(checkpoint, file)
    file.write_bytes(file.read_bytes()[:-2000])


def foreign(checkpoint, file):
    checkpoint["neuralsde"]["config"]["model"]["encoder"]["_target_"] = "os.system"
    torch.save(checkpoint, file)


def incomplete(checkpoint, file):
    checkpoint["state_dict"].popitem()
    torch.save(checkpoint, file)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (damaged, "is damaged or no checkpoint"),
        (foreign, "asks for os.system, which a config may not build; leave out init_from"),
        (
            incomplete,
            "holds weights of another shape than its own config describes, as one of another version may: Missing key",
        ),
    ],
)
def test_a_spoilt_checkpoint_is_refused(matched, tmp_path, spoil, sentence):
    spoil(torch.load(matched / "checkpoints" / "best.ckpt", weights_only=True), tmp_path / "spoilt.ckpt")
    with pytest.raises(CheckpointError, match=sentence):
        train(tiny_config(tmp_path / "run", *QUICK, f"init_from={tmp_path / 'spoilt.ckpt'}"))
    assert not (tmp_path / "run").exists()


def typed(monkeypatch, *words):
    """As if `train.py` had been started with these words."""
    with initialize_config_dir(CONFIGS, version_base="1.3"):
        monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
        HydraConfig.instance().set_config(compose("train", overrides=list(words), return_hydra_config=True))


@pytest.mark.parametrize(
    "word", ["model=latent_sde", "model.decode_context=true", "model/encoder=gru", "+model.x=1", "~model.context_dropout"]
)
def test_words_that_choose_parts_of_the_model_are_refused(matched, tmp_path, monkeypatch, word):
    words = [*tiny_overrides(tmp_path / "run", *QUICK, f"init_from={matched}"), word]
    typed(monkeypatch, *words)
    with pytest.raises(ConfigError, match=rf"but the command line has {re.escape(word)} too: leave out one of the two"):
        train(tiny_config(tmp_path / "run", *QUICK, f"init_from={matched}", word))
    assert not (tmp_path / "run").exists()


def test_other_words_are_no_choice_of_the_model(monkeypatch):
    typed(monkeypatch, "objective=sde_matching", "run_dir=model", "data.n_neurons=12")
    assert words_of_model() == []


def test_the_record_names_no_model_that_was_not_trained(monkeypatch):
    typed(monkeypatch, "model=latent_sde", "data=lorenz", "init_from=runs/matched")
    assert choices({"init_from": "runs/matched"}) == {"data": "lorenz"}
    assert choices({"init_from": None})["model"] == "latent_sde"


def test_a_model_that_can_only_be_simulated_is_not_matched(simulated, tmp_path):
    config = tiny_config(tmp_path / "run", *QUICK, f"init_from={simulated}", "objective=sde_matching")
    with pytest.raises(ConfigError, match=r"model\.dynamics LatentSDE can only be simulated: .* so choose objective=elbo"):
        train(config)
    assert not (tmp_path / "run").exists()


def test_a_model_that_was_matched_is_matched_again(matched, tmp_path):
    fit = prepared(tiny_config(tmp_path / "run", *QUICK, f"init_from={matched}", "objective=sde_matching"))
    assert type(fit.module.objective) is neuralsde.inference.SDEMatching


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["model/dynamics=ode"], r"but model/dynamics=ode gives none \(no solver\): choose model/dynamics=langevin_type or "),
        (["model/dynamics=released_langevin"], r"but model/dynamics=released_langevin gives none \(no latent_size, sde, "),
        (["model.dynamics._target_=neuralsde.inference.LatentSDE"], "LatentSDE can only be simulated: choose the MatchedSDE"),
        (["model/decoder=transformer"], "decodes a bin from the others too: choose model/decoder=linear or model/decoder=mlp "),
        (
            ["training.sample_validation={_target_: neuralsde.inference.SampleValidation, share: 0.2}"],
            r"set training\.sample_validation=null, or choose objective=elbo",
        ),
    ],
    ids=["ode", "released_langevin", "latent_sde", "transformer", "sample_validation"],
)
def test_what_needs_a_whole_path_is_not_matched(tmp_path, words, sentence):
    words = ["data=nlb_mc_maze", f"data.path={tmp_path / 'absent'}", "model=latent_sde", "objective=sde_matching", *words]
    with pytest.raises(ConfigError, match=sentence):
        train(tiny_config(tmp_path / "run", *words))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("decoder", sorted(choices_of("decoder")))
def test_a_decoder_says_truly_whether_it_mixes_bins(decoder):
    spec = {"kind": "real", "total_bins": 5, "target_dim": 64, "duration_s": 4.0}
    part = instantiate(OmegaConf.create({"spec": spec, "part": choices_of("decoder")[decoder]}).part)(input_size=4).eval()
    times, reaches = torch.arange(5.0)[None], set()
    clock = (times, times) if getattr(part, "reads_times", False) else ()
    for bin in range(5):
        path = torch.randn(1, 5, 4)
        other = path.clone()
        other[:, bin] += torch.randn(4)
        changed = (part(path, *clock) - part(other, *clock)).abs().amax(-1)[0] > 1e-5
        reaches |= {(bin, int(reached)) for reached in changed.nonzero()}
    assert part.mixes_bins == any(bin != reached for bin, reached in reaches)
    assert part.mixes_bins or reaches == {(bin, bin) for bin in range(5)}
