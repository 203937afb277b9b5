import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

import neuralsde
from neuralsde.errors import CheckpointError, ConfigError
from neuralsde.evaluation.load import with_data
from neuralsde.evaluation.predict import predict
from neuralsde.workflow import train
from tests.helpers.tiny import tiny_config


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    train(tiny_config(folder))
    return folder


@pytest.mark.slow
def test_a_fresh_process_gives_the_same_rates(run_dir, tmp_path):
    rates = neuralsde.load(run_dir).predict().rates
    script = "import sys, numpy, neuralsde\nnumpy.save(sys.argv[2], neuralsde.load(sys.argv[1]).predict().rates)\n"
    file = tmp_path / "rates.npy"
    subprocess.run([sys.executable, "-W", "error", "-c", script, run_dir, file], check=True)
    np.testing.assert_array_equal(np.load(file), rates)


def test_loaded_model_scores_what_the_run_wrote(run_dir):
    from neuralsde.evaluation.scores import score

    run = neuralsde.load(run_dir)
    written = json.loads((run_dir / "scores.json").read_text())
    assert score(run.datamodule.data, None, run.predict().rates)["co_bps"] == pytest.approx(written["co_bps"], abs=1e-12)


def test_prediction_leaves_the_random_state_and_the_mode_alone(run_dir):
    run = neuralsde.load(run_dir)
    before = torch.get_rng_state()
    run.predict(dropout=True)
    assert torch.equal(torch.get_rng_state(), before)
    assert not run.module.training


def test_log_rate_average_is_the_geometric_mean(run_dir):
    run = neuralsde.load(run_dir)
    trials = run.datamodule.data.eval
    geometric = run.predict(average="log_rate", n_samples=8).rates
    arithmetic = run.predict(average="rate", n_samples=8).rates
    assert (geometric <= arithmetic * (1 + 1e-5)).all()
    assert (geometric < arithmetic * (1 - 1e-5)).any()
    one = [predict(run.module, trials, n_samples=1, average=a).rates for a in ("rate", "log_rate")]
    np.testing.assert_allclose(*one, rtol=1e-5)


def test_trials_of_another_shape_are_refused(run_dir):
    run = neuralsde.load(run_dir)
    trials = run.datamodule.data.eval
    fewer = type(trials)(heldin=trials.heldin[:, :, :4])
    with pytest.raises(CheckpointError, match=r"10 bins × 9 held-in units, but the trials have 10 × 4"):
        run.predict(fewer)
    with pytest.raises(ConfigError, match="n_samples=0"):
        run.predict(n_samples=0)


def test_data_of_another_shape_is_refused(run_dir):
    with pytest.raises(CheckpointError, match="but its data now read as"):
        _ = neuralsde.load(run_dir, data={"n_neurons": 20}).datamodule


def test_damaged_or_foreign_checkpoints_are_refused(run_dir, tmp_path):
    good = (run_dir / "checkpoints" / "best.ckpt").read_bytes()
    truncated, text, foreign = (tmp_path / name for name in ("truncated.ckpt", "text.ckpt", "foreign.ckpt"))
    truncated.write_bytes(good[: len(good) // 2])
    text.write_text("not a checkpoint")
    torch.save({"state_dict": {}}, foreign)
    for path, sentence in ((truncated, "is damaged"), (text, "is damaged"), (foreign, "not written by neuralsde")):
        with pytest.raises(CheckpointError, match=sentence):
            neuralsde.load(path)
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        neuralsde.load(tmp_path / "absent.ckpt")
    with pytest.raises(CheckpointError, match=r"holds no checkpoints/best\.ckpt"):
        neuralsde.load(tmp_path)


def test_weights_of_another_shape_are_refused(run_dir, tmp_path):
    checkpoint = torch.load(run_dir / "checkpoints" / "best.ckpt", weights_only=True)
    checkpoint["neuralsde"]["config"]["model"]["encoder"]["hidden_size"] += 1
    torch.save(checkpoint, tmp_path / "other.ckpt")
    with pytest.raises(CheckpointError, match="weights of another shape"):
        neuralsde.load(tmp_path / "other.ckpt")


def test_a_checkpoint_may_not_build_whatever_it_names(run_dir, tmp_path):
    checkpoint = torch.load(run_dir / "checkpoints" / "best.ckpt", weights_only=True)
    for target in (
        "os.system",
        "neuralsde.workflow.os.system",
        "torch.optim.lr_scheduler.warnings.warn",
        "neuralsde.nowhere.X",
    ):
        checkpoint["neuralsde"]["config"]["model"]["encoder"]["_target_"] = target
        torch.save(checkpoint, tmp_path / "evil.ckpt")
        with pytest.raises(CheckpointError, match=f"asks for {target}"):
            neuralsde.load(tmp_path / "evil.ckpt")


@pytest.mark.parametrize(("data", "there"), [({"path": "old"}, "path"), ({"reader": {"path": "old"}}, "reader.path")])
def test_a_moved_recording_is_looked_for_where_the_data_are_read_from(data, there):
    moved = with_data(OmegaConf.create({"data": {"name": "made", **data}}), {"path": "new", "phase": "test"})
    assert OmegaConf.select(moved.data, there) == "new"
    assert moved.data.phase == "test"
    assert moved.data.keys() == {"name", "phase", *data}
