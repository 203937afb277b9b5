"""What a killed run or a power cut may leave behind, and what the next start makes of it."""

import shutil

import pytest
import torch

from neuralsde.cli.main import parser
from neuralsde.cli.resume import run as resume
from neuralsde.errors import CheckpointError, ConfigError
from neuralsde.training.csv_log import whole_rows
from neuralsde.training.run_record import read_record
from neuralsde.workflow import train
from tests.helpers.faults import rows, state
from tests.helpers.tiny import tiny_config

SHORT = ["data.observed_bins=5", "data.forward_bins=1", "training.baselines=false"]
SHORT += ["trainer.max_epochs=3", "trainer.check_val_every_n_epoch=2"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of three epochs, the second of which has a validation and so the best checkpoint."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    train(tiny_config(folder, *SHORT))
    return folder


@pytest.fixture
def copied(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "run")


def cut(path, share=0.5):
    """Leave the first part of a file, as a power cut does."""
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def turn_a_bit(path):
    """Change a bit in the midst of a file, which is in a weight."""
    image = bytearray(path.read_bytes())
    image[len(image) // 2] ^= 1
    path.write_bytes(image)


@pytest.mark.parametrize(
    "damage",
    [pytest.param(lambda path: cut(path, 0.0), marks=pytest.mark.slow), pytest.param(cut, marks=pytest.mark.slow), turn_a_bit],
    ids=["empty", "half", "one bit"],
)
def test_a_damaged_last_checkpoint_gives_way_to_the_best_one(whole, copied, capsys, damage):
    damage(copied / "checkpoints" / "last.ckpt")
    train(tiny_config(copied, *SHORT, "ckpt=auto"))
    out, err = capsys.readouterr()
    assert "last.ckpt is damaged and is not used" in err
    assert "It goes on from" in out
    assert "best.ckpt, after 2 epochs" in out
    assert rows(copied) == rows(whole)
    torch.testing.assert_close(state(copied), state(whole), rtol=0, atol=0)


def test_a_damaged_best_checkpoint_is_not_kept_for_its_score(copied):
    """The next validation writes it anew, however much worse it is."""
    cut(copied / "checkpoints" / "best.ckpt")
    train(tiny_config(copied, *SHORT, "ckpt=auto", "trainer.max_epochs=4"))
    assert state(copied, "best")["epoch"] == 3


def test_without_a_good_checkpoint_auto_begins_and_last_does_not(whole, copied, capsys):
    for name in ("best", "last"):
        cut(copied / "checkpoints" / f"{name}.ckpt")
    with pytest.raises(CheckpointError, match="There is no other checkpoint"):
        train(tiny_config(copied, *SHORT, "ckpt=last"))
    train(tiny_config(copied, *SHORT, "ckpt=auto"))
    assert "It goes on" not in capsys.readouterr().out
    assert rows(copied) == rows(whole)


def test_a_checkpoint_of_something_else_is_never_overwritten(copied):
    for name in ("best", "last"):
        torch.save({"weights": torch.zeros(3)}, copied / "checkpoints" / f"{name}.ckpt")
    with pytest.raises(CheckpointError, match="was not written by neuralsde"):
        train(tiny_config(copied, *SHORT, "ckpt=auto"))


def test_one_command_begins_and_goes_on(whole, tmp_path):
    for epochs in (1, 3):
        train(tiny_config(tmp_path, *SHORT, f"trainer.max_epochs={epochs}", "ckpt=auto"))
    assert [row["epoch"] for row in rows(tmp_path)] == ["0", "1", "2"]
    assert len(read_record(tmp_path)["starts"]) == 2
    with pytest.raises(ConfigError, match="ckpt=auto"):
        train(tiny_config(tmp_path, *SHORT))


def test_resume_begins_a_run_that_has_no_checkpoint_yet(whole, copied):
    shutil.rmtree(copied / "checkpoints")
    resume(parser().parse_args(["resume", str(copied)]))
    assert rows(copied) == rows(whole)


def test_a_cut_curve_is_kept_up_to_the_cut(copied, capsys):
    metrics = copied / "metrics.csv"
    cut(metrics, 0.9)
    train(tiny_config(copied, *SHORT, "ckpt=auto", "trainer.max_epochs=4"))
    assert [row["epoch"] for row in rows(copied)] == ["0", "1", "3"]
    assert "metrics.csv lacks the rows of 1 of 3 earlier epochs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "epochs"),
    [
        ("", []),
        ("epoch,step,a\n0,2,1.0\n1,5,2.0\n", [0, 1]),
        ("epoch,step,a\n0,2,1.0\n1,5", [0]),
        ("epoch,step,a\n0,2,1.0\nx,5,2.0\n2,8,3.0\n", [0]),
        ("epoch,step,a\n0,2,1.0\n1,5,2.0,9.0\n", [0]),
        ("step,a\n2,1.0\n", []),
        ("\0\0\0\0", []),
    ],
)
def test_rows_end_with_the_first_that_is_not_whole(tmp_path, text, epochs):
    (tmp_path / "metrics.csv").write_text(text)
    assert list(whole_rows(tmp_path / "metrics.csv")) == epochs


def test_a_damaged_record_is_put_aside(copied, capsys):
    cut(copied / "run.json")
    train(tiny_config(copied, *SHORT, "ckpt=auto"))
    assert len(read_record(copied)["starts"]) == 1
    assert (copied / "run.json.damaged").is_file()
    assert "the record of earlier starts is lost" in capsys.readouterr().err


def test_what_a_killed_start_left_half_written_goes(copied):
    left = [copied / "checkpoints" / ".last.ckpt.4711-0123abcd", copied / ".metrics.csv.4711-0123abcd"]
    for path in left:
        path.write_text("half")
    train(tiny_config(copied, *SHORT, "ckpt=auto"))
    assert not any(path.exists() for path in left)
