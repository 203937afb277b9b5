"""A file of trials: the batches of the recording in memory, in memory that does not grow with the file."""

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields, replace
from multiprocessing import get_context

import h5py
import numpy as np
import pytest
import torch

from neuralsde.datamodules.batches import TrialBatch
from neuralsde.datamodules.streamed import TrialFile, TrialFileWriter
from neuralsde.datamodules.trials import DataSpec, TrialData, Trials
from neuralsde.errors import ConfigError, DataError
from neuralsde.workflow import train
from tests.helpers.tiny import TINY_LORENZ, light_data, tiny_config


def written(path, data, parts=3):
    with TrialFileWriter(path, data, len(data.train), len(data.eval)) as file:
        for index in np.array_split(np.arange(len(data.train)), parts):
            file.append("train", data.train[index])
        file.append("eval", data.eval)
    return path


def assert_same(one: TrialBatch, other: TrialBatch):
    for name in (f.name for f in fields(one) if f.name != "share"):
        torch.testing.assert_close(getattr(other, name), getattr(one, name), rtol=0, atol=0)


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_are_those_of_the_recording_in_memory(workers, tmp_path):
    memory = light_data(*TINY_LORENZ)
    streamed = TrialFile(str(written(tmp_path / "trials.h5", memory.data)), batch_size=8, num_workers=workers)
    streamed.setup()
    assert streamed.spec == memory.spec
    for epoch in (0, 1):
        loaders = memory.train_dataloader(), streamed.train_dataloader()
        for loader in loaders:
            loader.sampler.set_epoch(epoch)
        for one, other in zip(*loaders, strict=True):
            assert_same(one, other)
    for one, other in zip(memory.val_dataloader(), streamed.val_dataloader(), strict=True):
        assert_same(one, other)


def test_a_streamed_run_is_that_in_memory(tmp_path):
    common = ["training.baselines=false", "trainer.max_epochs=2"]
    scores = [train(tiny_config(tmp_path / "memory", *common))]
    written(tmp_path / "trials.h5", light_data(*TINY_LORENZ).data)
    file = ["data=trial_file", f"data.path={tmp_path / 'trials.h5'}", "data.batch_size=8"]
    scores.append(train(tiny_config(tmp_path / "streamed", *common, *file)))
    assert scores[0] == scores[1]
    logs = [(tmp_path / run / "metrics.csv").read_text() for run in ("memory", "streamed")]
    assert logs[0] == logs[1]


def test_only_some_training_trials_are_held_in_memory(tmp_path):
    data = light_data(*TINY_LORENZ).data
    streamed = TrialFile(str(written(tmp_path / "trials.h5", data)), scored_trials=3)
    streamed.setup()
    assert len(streamed.train_set) == len(data.train)
    np.testing.assert_array_equal(streamed.data.train.heldin, data.train.heldin[[0, (len(data.train) - 1) // 2, -1]])


def resident():
    """Bytes that this process holds in memory, pages of files included."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux how much memory a process holds")
def test_memory_does_not_grow_with_the_file(tmp_path):
    spec = DataSpec(observed_dim=100, target_dim=100, observed_bins=50, forward_bins=0, bin_width_s=0.02)
    n, part = 4000, Trials(np.ones((500, 50, 100), np.float32))
    path = tmp_path / "large.h5"
    with TrialFileWriter(path, TrialData("large", spec, part, part), n, 10) as file:
        for _ in range(n // 500):
            file.append("train", part)
        file.append("eval", part[:10])
    assert path.stat().st_size > 80e6
    with ProcessPoolExecutor(1, get_context("spawn")) as fresh:  # in this one what others have freed would be taken first
        total, grown, at_once = fresh.submit(memory_of_reading, path).result()
    assert total == n * 50 * 100  # all of it has been read
    assert grown < path.stat().st_size / 8
    assert at_once > path.stat().st_size / 2  # control


def memory_of_reading(path):
    """The sum of all training values; by how many bytes the process grew from the fifth batch on, and then by all trials."""
    data = TrialFile(str(path), scored_trials=8)
    data.setup()
    total, held = 0.0, []
    for batch in data.train_dataloader():
        total += batch.values.sum().item()
        held.append(resident())
    everything = data.stored.train[:]
    return total, max(held) - held[4], (resident() - held[-1]) * bool(len(everything))


def write_in_parts(path, data, parts):
    with TrialFileWriter(path, data, len(data.train), len(data.eval)) as file:
        for part in parts:
            file.append("train", part)


def test_a_file_gets_its_name_once_it_is_complete(tmp_path):
    data, path = light_data(*TINY_LORENZ).data, tmp_path / "trials.h5"
    with pytest.raises(DataError, match=r"'eval': 0\} trials were appended, but .* announced; append all"):
        write_in_parts(path, data, [data.train])
    with pytest.raises(DataError, match=r"have other arrays than those before"):
        write_in_parts(path, data, [data.train[:2], replace(data.train[2:], heldout=None)])
    assert list(tmp_path.iterdir()) == []


def test_other_files_and_settings_are_refused(tmp_path):
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["spikes"] = np.zeros(3)
    with pytest.raises(DataError, match=r"other\.h5 is no file of trials .*: write one with .*TrialFileWriter"):
        TrialFile(str(path)).setup()
    with pytest.raises(ConfigError, match=r"data\.kind is real, but .* holds counts; set data\.kind=counts"):
        TrialFile(str(written(path, light_data(*TINY_LORENZ).data)), kind="real").setup()
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(DataError):
        TrialFile(str(path)).setup()
