"""The cache: same tensors, its own key, never a half-written file."""

import os
import resource
import threading
from contextlib import contextmanager
from dataclasses import fields

import numpy as np
import pytest

from neuralsde.datamodules.nwb.module import NWBDataModule
from neuralsde.errors import DataError
from tests.datamodules.nwb.conftest import datamodule


def entries(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def assert_same_data(a, b):
    assert (a.name, a.spec, a.behavior_names, a.condition_names, a.source) == (
        b.name,
        b.spec,
        b.behavior_names,
        b.condition_names,
        b.source,
    )
    np.testing.assert_array_equal(a.psth, b.psth)
    for split in ("train", "eval"):
        for f in fields(a.train):
            ours, theirs = getattr(getattr(a, split), f.name), getattr(getattr(b, split), f.name)
            assert (ours is None) == (theirs is None), f.name
            if ours is not None:
                assert ours.dtype == theirs.dtype
                np.testing.assert_array_equal(ours, theirs, err_msg=f.name)


@pytest.fixture
def builds(monkeypatch):
    """How often a recording was read afresh."""
    calls, build = [], NWBDataModule.build

    def counted(self, files):
        calls.append(files)
        return build(self, files)

    monkeypatch.setattr(NWBDataModule, "build", counted)
    return calls


@pytest.mark.parametrize("name", [pytest.param("area2_bump", marks=pytest.mark.slow), "dmfc_rsg"])
def test_the_second_run_reads_the_cache(pair, tmp_path, builds, name):
    first = datamodule(f"nlb_{name}", pair(name), cache=str(tmp_path)).data
    second = datamodule(f"nlb_{name}", pair(name), cache=str(tmp_path)).data
    assert len(builds) == 1
    assert_same_data(first, second)


def test_settings_and_files_make_the_key(pair, tmp_path, builds):
    def run(**settings):
        return datamodule("nlb_mc_maze", pair("mc_maze"), cache=str(tmp_path), **settings).data

    run()
    run(bin_width_s=0.02)
    run(phase="test")
    run(batch_size=3, seed=5)  # shapes no tensor
    assert len(builds) == 3
    train = next(pair("mc_maze").glob("*train*"))
    os.utime(train, ns=(0, train.stat().st_mtime_ns + 1))
    run()
    assert len(builds) == 4


@pytest.mark.parametrize("damage", ["flip", *(pytest.param(d, marks=pytest.mark.slow) for d in ("cut", "empty"))])
def test_a_damaged_entry_is_made_again(pair, tmp_path, builds, damage):
    first = datamodule("nlb_mc_maze", pair("mc_maze"), cache=str(tmp_path)).data
    (entry,) = tmp_path.iterdir()
    image = bytearray(entry.read_bytes())
    if damage == "flip":
        for at in range(len(image) // 4, len(image), 97):
            image[at] ^= 0xFF
    entry.write_bytes({"cut": image[: len(image) // 2], "flip": image, "empty": b""}[damage])
    second = datamodule("nlb_mc_maze", pair("mc_maze"), cache=str(tmp_path)).data
    assert len(builds) == 2
    assert_same_data(first, second)
    datamodule("nlb_mc_maze", pair("mc_maze"), cache=str(tmp_path)).read()
    assert len(builds) == 2


@pytest.mark.slow
def test_runs_at_once(pair, tmp_path):
    results, path = [None] * 4, pair("mc_rtt")

    def run(k):
        results[k] = datamodule("nlb_mc_rtt", path, cache=str(tmp_path)).read()

    threads = [threading.Thread(target=run, args=(k,)) for k in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    for result in results[1:]:
        np.testing.assert_array_equal(result.train.heldin, results[0].train.heldin)
    assert len(entries(tmp_path)) == 1


@contextmanager
def disk_that_holds(n_bytes):
    """Writes beyond `n_bytes` of a file fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk(pair, tmp_path):
    module = datamodule("nlb_mc_maze", pair("mc_maze"), cache=str(tmp_path / "cache"))
    with disk_that_holds(8192), pytest.raises(DataError, match=r"cache of .* MB cannot be written.*data.cache=false"):
        module.read()
    assert entries(tmp_path / "cache") == []


def test_a_folder_that_is_not_to_be_written(pair, tmp_path, monkeypatch):
    folder = tmp_path / "recording"
    folder.mkdir()
    for file in pair("mc_rtt").glob("*.nwb"):
        (folder / file.name).symlink_to(file)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    folder.chmod(0o555)  # root could write here all the same
    datamodule("nlb_mc_rtt", folder, cache=True).read()
    assert not (folder / ".cache").exists()
    assert len(entries(tmp_path / "home" / "neuralsde")) == 1


def test_a_folder_that_cannot_be_written(pair, tmp_path, monkeypatch):
    folder = tmp_path / "recording"
    folder.mkdir()
    for file in pair("mc_rtt").glob("*.nwb"):
        (folder / file.name).symlink_to(file)
    (folder / ".cache").write_text("a file stands in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    datamodule("nlb_mc_rtt", folder, cache=True).read()
    assert len(entries(tmp_path / "home" / "neuralsde")) == 1


def test_beside_the_recording(pair, tmp_path):
    folder = tmp_path / "recording"
    folder.mkdir()
    for file in pair("mc_rtt").glob("*.nwb"):
        (folder / file.name).symlink_to(file)
    datamodule("nlb_mc_rtt", folder, cache=True).read()
    assert len(entries(folder / ".cache")) == 1
