"""What an offline run of Weights & Biases holds: everything that an online one shows, until `wandb sync` sends it."""

import json

import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import WandbLogger

from neuralsde.errors import ConfigError
from neuralsde.evaluation import extras, progress_pictures, wandb_workspace
from neuralsde.evaluation.predict import Prediction, predict
from neuralsde.evaluation.progress_pictures import ProgressPictures, as_image, progress_figures
from neuralsde.plots import read_metrics
from neuralsde.training.checkpoint import read_checkpoint
from neuralsde.training.settings import check_settings
from neuralsde.workflow import progress_pictures as progress_pictures_of
from neuralsde.workflow import train
from tests.helpers.tiny import TINY_LORENZ, light_data, tiny_config

SHOWN = ["logger=wandb", "training.baselines=false", "logger.pictures_share=0.99"]


def no_logger():
    """A logger that is never asked to log."""
    return WandbLogger.__new__(WandbLogger)


drawn_with = []  # weights that pictures were drawn with


def predict_and_note(module, *args, **settings):
    drawn_with.append({name: value.clone() for name, value in module.model.state_dict().items()})
    return predict(module, *args, **settings)


@pytest.fixture(scope="module")
def offline(tmp_path_factory):
    """A run with pictures at its only validation, after the last of two epochs; its folder, W&B's folder and log."""
    folder = tmp_path_factory.mktemp("wandb") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress_pictures, "FIRST_COST_S", 0.0)
        patch.setattr(progress_pictures, "predict", predict_and_note)
        train(tiny_config(folder, *SHOWN))
    (run,) = (folder / "wandb").glob("offline-run-*")
    (log,) = run.glob("*.wandb")
    return folder, run, log.read_bytes()


def test_terms_scores_and_settings_are_in_the_log(offline):
    folder, _, log = offline
    logged = set(read_metrics(folder / "metrics.csv")) - {"epoch", "step"}
    assert {"train/loss", "train/nll", "train/kl_path", "train/grad_norm", "val/co_bps", "learned/friction/0"} <= logged
    scores = json.loads((folder / "scores.json").read_text())
    final = {f"score/{name}" for name, value in scores.items() if isinstance(value, float)}
    assert "score/co_bps" in final
    for name in logged | final | {"max_epochs", "coordinated_dropout"}:
        assert name.encode() in log, name


def test_pictures_of_training_are_there(offline):
    """Those of the end are in `tests/test_cli.py`."""
    _, run, _ = offline
    drawn = (run / "files" / "media" / "images" / "progress").glob("*.png")
    assert {path.name.split("_")[0] for path in drawn} == {"raster", "latents"}


def test_checkpoints_are_an_artifact_whose_files_stay_in_the_run_s_folder(offline):
    folder, _, log = offline
    for part in (
        "best",
        "latest",
        "model",
        str(folder / "checkpoints" / "best.ckpt"),
        str(folder / "checkpoints" / "last.ckpt"),
    ):
        assert part.encode() in log, part


def test_pictures_are_of_the_averaged_weights_which_checkpoints_hold(offline):
    folder, _, _ = offline
    (drawn,) = drawn_with
    saved = read_checkpoint(folder / "checkpoints" / "last.ckpt")["state_dict"]
    for name, value in drawn.items():
        torch.testing.assert_close(value, saved[f"model.{name}"], rtol=0, atol=0)


def test_pictures_leave_the_training_as_it_was(offline, tmp_path):
    folder, _, _ = offline
    train(tiny_config(tmp_path / "run"))
    with_pictures, without = (read_metrics(f / "metrics.csv") for f in (folder, tmp_path / "run"))
    assert with_pictures.keys() == without.keys()
    for name, values in without.items():
        np.testing.assert_array_equal(with_pictures[name], values, err_msg=name)


@pytest.mark.parametrize(("words", "n"), [((), 1), (("logger.pictures_every=null",), 0)])
def test_pictures_can_be_switched_off(tmp_path, words, n):
    config = tiny_config(tmp_path, "logger=wandb", *words)
    check_settings(config)
    assert len(progress_pictures_of(config, light_data(*TINY_LORENZ), [no_logger()])) == n


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("logger.pictures_every=0.5", "logger.pictures_every is 0.5; give a number of at least 1.0, or null"),
        ("logger.pictures_share=1.5", "logger.pictures_share is 1.5; give a number of at least 0.0 and below 1.0, or null"),
        ("logger.checkpoints=maybe", "logger.checkpoints is maybe; give one of True, False, or null"),
    ],
)
def test_impossible_settings_get_a_sentence(tmp_path, word, sentence):
    with pytest.raises(ConfigError, match=sentence):
        check_settings(tiny_config(tmp_path, "logger=wandb", word))


def test_drawing_keeps_to_its_epochs_and_to_its_share_of_the_time(recording):
    now = [0.0]
    callback = ProgressPictures(recording, no_logger(), growth=2.0, share=0.03, clock=lambda: now[0])
    callback.began = now[0]
    drawn = []
    for epoch in range(1, 401):  # a second each
        now[0] += 1.0
        if callback.due(epoch):
            drawn.append(epoch)
            callback.cost = 0.9
            callback.spent += callback.cost
            callback.next_epoch = callback.growth * epoch
        assert callback.spent <= 0.03 * now[0]
    assert drawn == [50, 100, 200, 400]


@pytest.mark.parametrize(
    "kind",
    ["counts", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("real", "category"))],  # as test_figures has
)
def test_every_kind_of_data_has_its_picture(recording, real_data, label_data, kind):
    data = {"counts": recording, "real": real_data, **label_data}[kind]
    latents = np.random.default_rng(0).normal(size=(len(data.eval), data.spec.total_bins, 4)).astype(np.float32)
    figures = progress_figures(data, Prediction(data.eval.rates, latents))
    assert set(figures) == {"raster" if kind == "counts" else "series", "latents"}
    image = as_image(figures["latents"])
    assert np.ptp(np.asarray(image.convert("L"))) > 100


# -- the dashboard's view -------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Pydantic V1 style:DeprecationWarning")  # wandb-workspaces 0.4, as it is imported
def test_the_view_is_made_without_the_network(monkeypatch):
    pytest.importorskip("wandb_workspaces", reason="the extra `dashboard` is not installed")
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("reached for the network"))
    view = wandb_workspace.workspace("me", "neuralsde")
    assert [section.name for section in view.sections] == ["Scores", "Loss terms", "Learned parameters", "Pictures"]
    drawn = {metric for section in view.sections for panel in section.panels for metric in getattr(panel, "y", None) or []}
    assert {"val/co_bps", "train/loss", "train/grad_norm"} <= {str(getattr(m, "name", m)) for m in drawn}
    media = [key for panel in view.sections[3].panels for key in panel.media_keys]
    assert {"progress/raster", "plots/latents"} <= set(media)


def test_without_the_extra_the_view_says_what_to_install(monkeypatch, capsys):
    def absent(name):
        raise ModuleNotFoundError(name=name.partition(".")[0])

    monkeypatch.setattr(extras.importlib, "import_module", absent)
    with pytest.raises(SystemExit) as stop:
        wandb_workspace.main(["me"])
    assert stop.value.code == 2
    assert "pip install 'neuralsde[dashboard]'" in capsys.readouterr().err
