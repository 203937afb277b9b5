"""A full disk or a folder that cannot be written gets a sentence and status 2, and does no damage."""

import errno
import os
import re
import subprocess

import pytest

from neuralsde import files
from neuralsde.errors import DataError
from neuralsde.evaluation.hdf5_file import write_file
from neuralsde.files import LEFTOVER, remove_leftovers, write_whole
from tests.helpers.faults import rows
from tests.helpers.tiny import tiny_overrides

SHORT = ["trainer.max_epochs=2", "data.observed_bins=5", "data.forward_bins=1", "training.baselines=false"]


def fail_for(monkeypatch, name, number=errno.ENOSPC):
    """Let the disk be full, or otherwise refuse, for files of this name."""

    def fsync(descriptor):
        if re.search(name, os.readlink(f"/proc/self/fd/{descriptor}")):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.os, "fsync", fsync)


def leftovers(folder):
    return [path for path in folder.rglob(".*") if LEFTOVER.fullmatch(path.name)]


@pytest.mark.parametrize(
    ("file", "number", "plots"),
    [
        ("config.yaml", errno.EROFS, False),
        ("last.ckpt", errno.ENOSPC, False),
        pytest.param("metrics.csv", errno.ENOSPC, False, marks=pytest.mark.slow),  # written as the others are
        pytest.param("training.png", errno.ENOSPC, True, marks=pytest.mark.slow),
        ("report.html", errno.EDQUOT, False),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_written_is_named(run, tmp_path, monkeypatch, file, number, plots):
    with monkeypatch.context() as patch:
        fail_for(patch, rf"\.{re.escape(file)}\.", number)
        status, _, err = run("train", *tiny_overrides(tmp_path / "run", *SHORT, f"training.plots={plots}".lower()))
    assert status == 2
    assert re.search(rf"{re.escape(file)} cannot be written( or read)? \({os.strerror(number)}\)", err)
    assert "Traceback" not in err
    assert not leftovers(tmp_path)


@pytest.mark.slow
def test_a_run_goes_on_once_there_is_space(run, tmp_path, monkeypatch):
    words = ["train", *tiny_overrides(tmp_path / "run", *SHORT), "ckpt=auto"]
    with monkeypatch.context() as patch:
        fail_for(patch, r"\.scores\.json\.")
        assert run(*words)[0] == 2
    assert run(*words)[0] == 0
    assert [row["epoch"] for row in rows(tmp_path / "run")] == ["0", "1"]


@pytest.mark.parametrize("folder", ["/proc/run", "file/run"], ids=["read-only", "a file in the way"])
def test_a_folder_that_cannot_be_made_gets_a_sentence(run, tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    status, _, err = run("train", *tiny_overrides(folder, *SHORT))
    assert status == 2
    assert f"{folder} cannot be written or read" in err or "/proc cannot be written or read" in err
    assert (tmp_path / "file").read_text() == ""


def test_hdf5_files_are_whole_or_absent(tmp_path, monkeypatch):
    """Predictions, submissions and samples."""
    path = tmp_path / "rates.h5"
    path.write_bytes(b"before")
    fail_for(monkeypatch, "rates")
    with pytest.raises(DataError, match=r"rates\.h5 cannot be written \(No space left on device\)"):
        write_file(path, lambda file: file.create_group("x"))
    assert path.read_bytes() == b"before"
    assert not leftovers(tmp_path)


def test_only_what_killed_processes_left_is_removed(tmp_path):
    left = tmp_path / "checkpoints" / ".last.ckpt.4711-0123abcd"
    kept = [tmp_path / ".hidden", tmp_path / ".gitignore", tmp_path / "config.yaml"]
    left.parent.mkdir()
    for path in (left, *kept):
        path.write_text("")
    remove_leftovers(tmp_path, older_than_s=3600.0)
    assert left.exists()
    remove_leftovers(tmp_path)
    assert not left.exists()
    assert all(path.exists() for path in kept)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 400 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", folder], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("a file system can be mounted by root alone")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_real_disk_that_is_full(run, small_disk):
    status, _, err = run("train", *tiny_overrides(small_disk / "run", *SHORT))
    assert status == 2
    assert "last.ckpt cannot be written (No space left on device)" in err
    assert "an earlier checkpoint of that name is kept" in err
    assert not leftovers(small_disk)
    write_whole(small_disk / "run" / "note", "there is space again")
