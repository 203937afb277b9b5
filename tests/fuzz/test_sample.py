"""A few mutated files for each reader; `make fuzz` reads thousands."""

import pytest

from neuralsde.errors import DataError
from tests.fuzz import raw
from tests.fuzz.campaign import run
from tests.fuzz.target import Target, all_targets
from tests.fuzz.worker import mutated

FILES = 6
TARGETS = all_targets()


@pytest.mark.parametrize("name", TARGETS)
def test_only_our_own_error_comes_out(name, tmp_path):
    tally = run(TARGETS[name], range(FILES), 0, tmp_path, tmp_path / "failures")
    assert tally.files == FILES
    assert dict(tally.failed) == {}


def crash(path):
    content = path.read_bytes()
    if content.startswith(b"bad"):
        import os

        os.kill(os.getpid(), 11)
    raise ValueError("another's error") if content.startswith(b"odd") else DataError("ours")


def test_crashes_and_foreign_errors_are_counted_and_kept(tmp_path):
    """The control: a reader that dies on some files, and raises another's error on others."""

    def seeds(folder):
        for name in ("bad", "odd", "good"):
            (folder / name).write_bytes(name.encode() + bytes(1000))
        return sorted(folder.iterdir())

    tally = run(Target("control", ".x", seeds, crash), range(60), 0, tmp_path, tmp_path / "failures")
    assert tally.files == 60
    assert tally.failed["process ended with -11"] > 0
    assert any(what.startswith("ValueError") for what in tally.failed)
    assert tally.kinds["refused"] > 0
    assert list((tmp_path / "failures").iterdir())


@pytest.mark.parametrize("name", ["arrays trials npz", "lorenz file", "checkpoint"])
def test_a_file_is_a_function_of_seed_and_number(name, tmp_path):
    seeds = [path.read_bytes() for path in TARGETS[name].seeds(tmp_path)]
    one, same, other = (mutated(TARGETS[name], seeds, raw.generator(seed, 3)) for seed in (0, 0, 1))
    assert len(one) == len(same)
    assert one != other
