import numpy as np
import pytest

from neuralsde.datamodules.irregular.archive import Case
from neuralsde.datamodules.irregular.missing import per_channel, shared
from neuralsde.datamodules.irregular.split import class_codes, random_split, refuse_absent, stratified_split
from neuralsde.datamodules.irregular.ucr import UCRArchive, as_set, interpolated
from neuralsde.errors import ConfigError, DataError
from tests.helpers.archive_files import random_cases, ts_text, write_text
from tests.helpers.shared import shared_path


@pytest.fixture
def folder(tmp_path):
    for part, n, seed in (("TRAIN", 16, 0), ("TEST", 24, 1)):
        write_text(tmp_path / f"Tiny_{part}.ts", ts_text(random_cases(n, 2, 12, seed, ragged=True)))
    return tmp_path


def parts(data):
    return data.train, data.val, data.test


def test_parts_are_merged_and_split_by_class(folder):
    data = UCRArchive("Tiny", folder).read()
    assert [len(s) for s in parts(data)] == [28, 6, 6]
    assert [np.bincount(s.labels).tolist() for s in parts(data)] == [[14, 14], [3, 3], [3, 3]]
    names = np.concatenate([s.names for s in parts(data)])
    assert set(names) == {f"TRAIN {k}" for k in range(16)} | {f"TEST {k}" for k in range(24)}
    assert data.class_names == ("a", "b")


def test_series_keep_their_own_length(folder):
    whole = {f"TEST {k}": x for k, (x, _) in enumerate(random_cases(24, 2, 12, 1, ragged=True))}
    test = UCRArchive("Tiny", folder, seed=3).read().test
    for name, n, values, times in zip(test.names.tolist(), test.length, test.values, test.times, strict=True):
        if name in whole:
            np.testing.assert_array_equal(values[:n], whole[name].astype(np.float32))
            np.testing.assert_array_equal(times[:n], np.arange(len(whole[name])))
        assert np.isnan(values[n:]).all()


def test_the_papers_lengthening_is_np_interp():
    x, y = np.arange(6.0)[:, None] ** 2, np.arange(3.0)[:, None]
    series, _ = as_set([("x", Case(x, "a")), ("y", Case(y, "b"))], "tiny")
    found = interpolated(series)
    np.testing.assert_allclose(found.values[1, :, 0], np.interp(np.arange(6), np.linspace(0, 6, 3), y[:, 0]), rtol=1e-6)
    assert (found.length == 6).all()


@pytest.mark.parametrize("rate", [0.3, 0.7])
@pytest.mark.parametrize("operator", [shared, per_channel])
def test_what_is_dropped_is_counted_by_series_and_reproducible(operator, rate):
    length = np.array([7, 20, 11])
    kept = operator(length, 3, rate, 5)
    for n, mask in zip(length.tolist(), kept, strict=True):
        assert (mask.sum(0) == n - int(n * rate)).all()
        assert not mask[n:].any()
    np.testing.assert_array_equal(kept, operator(length, 3, rate, 5))
    assert (kept != operator(length, 3, rate, 6)).any()


def test_only_one_operator_drops_whole_rows():
    length = np.full(4, 40)
    assert (np.ptp(shared(length, 3, 0.5, 0).astype(int), axis=2) == 0).all()
    assert (np.ptp(per_channel(length, 3, 0.5, 0).astype(int), axis=2) == 1).any()


def test_values_are_dropped_in_every_part(folder):
    grid = UCRArchive("Tiny", folder, missing_rate=0.5, keep_empty_rows=True).read()
    own = UCRArchive("Tiny", folder, missing_rate=0.5).read()
    for on_grid, short in zip(parts(grid), parts(own), strict=True):
        seen = ~np.isnan(on_grid.values).all(-1)
        np.testing.assert_array_equal(seen.sum(1), on_grid.length - (on_grid.length * 0.5).astype(int))
        np.testing.assert_array_equal(short.length, seen.sum(1))


def test_settings_are_named(folder):
    for settings, sentence in [
        ({"missing_rate": 1.0}, "data.reader.missing_rate is 1.0"),
        ({"operator": "both"}, "data.reader.operator is both; give one of shared, per_channel"),
        ({"lengths": "cut"}, "data.reader.lengths is cut"),
        ({"seed": -1}, "data.reader.seed is -1"),
    ]:
        with pytest.raises(ConfigError, match=sentence):
            UCRArchive("Tiny", folder, **settings)
    with pytest.raises(ConfigError, match=r"data.reader.name is Tiny, which does not come with aeon"):
        UCRArchive("Tiny")


def test_series_of_other_channels_are_named(tmp_path):
    write_text(tmp_path / "Tiny_TRAIN.ts", ts_text(random_cases(4, 2, 5, 0)))
    write_text(tmp_path / "Tiny_TEST.ts", ts_text(random_cases(4, 3, 5, 0)))
    with pytest.raises(DataError, match="series `TEST 0` has 3 channels, but the first has 2"):
        UCRArchive("Tiny", tmp_path).read()


def test_classes_are_in_order_of_numbers_or_letters():
    codes, names = class_codes(["10", "9", "-1", "10"])
    assert names == ("-1", "9", "10")
    assert codes.tolist() == [2, 1, 0, 2]
    assert class_codes(["b", "a10", "a9"])[1] == ("a10", "a9", "b")


def test_a_class_that_cannot_be_in_each_part_is_named():
    labels = np.array([0] * 20 + [1])
    with pytest.raises(DataError, match=r"class `rare` has 1 of them"):
        stratified_split(labels, ("usual", "rare"), (0.7, 0.15, 0.15), 0)
    with pytest.raises(DataError, match="no series of class `rare` is for training"):
        refuse_absent(labels, np.arange(20), ("usual", "rare"), "Tiny")
    with pytest.raises(DataError, match="3 series cannot be split"):
        random_split(3, (0.9, 0.05, 0.05), 0)


def test_bundled_sets_are_read_through_aeon():
    data = UCRArchive("JapaneseVowels").read()
    assert [len(s) for s in parts(data)] == [448, 96, 96]
    assert len(data.class_names) == 9
    lengths = np.concatenate([s.length for s in parts(data)])
    assert (lengths.min(), lengths.max()) == (7, 29)


@pytest.mark.parametrize(
    ("name", "size", "n_test"),
    [("GunPoint", (150, 1, 2), 30), ("ERing", (65, 4, 6), 45), ("NATOPS", (51, 24, 6), 55), ("Libras", (45, 2, 15), 55)],
)
def test_published_sets_have_their_published_sizes(name, size, n_test):
    data = UCRArchive(name, shared_path("data/ucr")).read()
    assert (*data.train.values.shape[1:], len(data.class_names)) == size
    assert len(data.test) == n_test
