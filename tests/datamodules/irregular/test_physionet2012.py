import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from neuralsde.datamodules.irregular.physionet import VARIABLES, Source, find_sources, load_records, parse, sources
from neuralsde.datamodules.irregular.physionet import cache as record_cache
from neuralsde.datamodules.irregular.physionet2012 import Physionet2012
from neuralsde.errors import ConfigError, DataError
from neuralsde.evaluation.load import load
from neuralsde.workflow import train
from tests.helpers.physionet_files import HEADER, outcomes_text, record_texts, write_set, write_tar
from tests.helpers.shared import shared_path
from tests.helpers.tiny import FAST, composed


@pytest.fixture
def archive(tmp_path):
    return write_set(tmp_path, record_texts(60))


def reader(path, **settings):
    return Physionet2012(path, **{"cache": False} | settings)


def parts(data):
    return data.train, data.val, data.test


def rows_of(text):
    return parse.parse_record(f"{HEADER}\n{text}".encode(), "here")


def test_a_record_starts_at_zero_and_times_are_rounded():
    times, values = rows_of("00:00,RecordID,7\n00:00,Age,54\n01:37,HR,80\n48:00,HR,90\n")
    np.testing.assert_allclose(times, [0, round((1 + 37 / 60) / 0.016) * 0.016, 48])
    assert values[0, VARIABLES.index("Age")] == 54
    assert np.isnan(values[0]).sum() == 40
    np.testing.assert_array_equal(values[:, VARIABLES.index("HR")], [np.nan, 80, 90])
    later, _ = rows_of("00:05,HR,80\n")
    np.testing.assert_allclose(later, [0, round(5 / 60 / 0.016) * 0.016])


def test_repeats_are_averaged_and_unknown_minus_one_is_kept():
    _, values = rows_of("00:00,Height,-1\n00:07,HR,80\n00:07,HR,90\n00:07,HR,100\n00:07,Temp,37\n")
    assert values[0, VARIABLES.index("Height")] == -1
    assert values[1, VARIABLES.index("HR")] == 90
    assert values[1, VARIABLES.index("Temp")] == 37


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("00:00,Age", "line 2: `00:00,Age` is no Time,Parameter,Value"),
        ("0:99,Age,5", "`0:99,Age,5` is no time HH:MM"),
        ("00:01,Pulse,5", "`00:01,Pulse,5` is none of the 41 variables"),
        ("00:01,HR,inf", "`00:01,HR,inf` is no finite number"),
        ("00:01,HR,x", "`00:01,HR,x` is no finite number"),
        ("05:00,HR,80\n04:00,HR,80", "line 3: `04:00,HR,80` is earlier"),
    ],
)
def test_a_damaged_line_is_named(line, sentence):
    with pytest.raises(DataError, match=sentence):
        rows_of(line)


def test_archive_and_folder_give_the_same(tmp_path, archive):
    folder = tmp_path / "unpacked" / "set-a"
    folder.mkdir(parents=True)
    texts = record_texts(60)
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder.parent / "Outcomes-a.txt").write_text(outcomes_text(texts))
    ours, theirs = (load_records(find_sources(p, "found")[0], False) for p in (archive, folder.parent))
    for name in ours._fields:
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    assert find_sources(folder, "a")[0].path == folder


def test_members_cannot_leave_the_archive(tmp_path):
    texts = record_texts(12)
    members = {f"../../escape/{name}": text for name, text in texts.items()} | {"../evil.txt": "x", "/etc/1.sh": "x"}
    (tmp_path / "inside").mkdir()
    path = write_tar(tmp_path / "inside" / "set-a.tar.gz", members)
    before = sorted(tmp_path.rglob("*"))
    assert len(load_records(Source("a", path), False).names) == 12
    assert sorted(tmp_path.rglob("*")) == before


def test_impossible_archives_are_refused(tmp_path, monkeypatch):
    texts = record_texts(3)
    name, text = next(iter(texts.items()))
    twice = write_tar(tmp_path / "set-a.tar.gz", {f"set-a/{name}": text, f"copy/{name}": text})
    with pytest.raises(DataError, match=f"holds record {name} twice"):
        sources.read_texts(Source("a", twice))
    monkeypatch.setattr(sources, "LARGEST_BYTES", 50)
    with pytest.raises(DataError, match="more than a record"):
        sources.read_texts(Source("a", twice))
    monkeypatch.undo()
    twice.write_bytes(twice.read_bytes()[:200])
    with pytest.raises(DataError, match="damaged or cut short"):
        sources.read_texts(Source("a", twice))
    with pytest.raises(DataError, match="holds no records"):
        sources.read_texts(Source("a", write_tar(tmp_path / "none.tar.gz", {"readme.txt": "x"})))


def test_both_sets_follow_each_other(tmp_path, archive):
    write_set(tmp_path, record_texts(40, seed=1), "b")
    data = reader(tmp_path).read()
    names = np.sort(np.concatenate([s.names for s in parts(data)]))
    assert len(names) == 100
    assert names[60].startswith("b/")
    sizes = {"a": 60, "b": 40}
    everything = np.array([f"{s}/{name.removesuffix('.txt')}" for s, n in sizes.items() for name in record_texts(n)])
    _, test = train_test_split(np.arange(100), train_size=0.8, random_state=42, shuffle=True)
    assert data.test.names.tolist() == everything[test].tolist()
    assert len(data.val) == 8
    with pytest.raises(DataError, match="no records of set b"):
        reader(archive, sets="ab").read()


def test_kept_values_are_targets_and_the_rest_is_hidden(archive):
    data = reader(archive, observed=0.6).read()
    for series in parts(data):
        seen, known = ~np.isnan(series.values), ~np.isnan(series.targets)
        assert (seen <= known).all()
        np.testing.assert_array_equal(series.values[seen], series.targets[seen])
        points = known.any(-1)
        np.testing.assert_array_equal(seen.any(-1).sum(1), (points.sum(1) * 0.6).astype(int))
        np.testing.assert_array_equal(seen, known & seen.any(-1)[..., None])  # whole time points


def test_what_is_hidden_depends_on_the_record_alone_and_epochs_draw_anew(archive):
    first, second = reader(archive), reader(archive)
    train, test = first.read().train, first.read().test
    np.testing.assert_array_equal(test.values, second.read().test.values)
    turned = second.redraw(train[::-1], 3)[::-1]
    np.testing.assert_array_equal(first.redraw(train, 3).values, turned.values)
    assert (np.isnan(first.redraw(train, 4).values) != np.isnan(turned.values)).any()
    assert (np.isnan(reader(archive, mask_seed=1).read().test.values) != np.isnan(test.values)).any()


def test_scale_is_least_and_largest_of_what_it_may_look_at(archive):
    raw, published = (reader(archive, scale=s, stats="all").read() for s in ("none", "min_max"))
    rows = np.concatenate([s.targets.reshape(-1, 41) for s in parts(raw)])
    hr = VARIABLES.index("HR")
    expected = (raw.test.targets[..., hr] - np.nanmin(rows[:, hr])) / np.nanmax(rows[:, hr])
    np.testing.assert_allclose(published.test.targets[..., hr], expected, rtol=1e-5, atol=1e-7)


def test_test_records_do_not_move_the_training_scale(tmp_path):
    texts = record_texts(60)
    plain = reader(write_set(tmp_path, texts)).read()
    name = plain.test.names[0].removeprefix("a/") + ".txt"
    texts[name] += "48:00,HR,9999\n"
    changed = reader(write_set(tmp_path, texts)).read()
    np.testing.assert_array_equal(plain.train.targets, changed.train.targets)
    assert not np.array_equal(reader(write_set(tmp_path, texts), stats="all").read().train.targets, changed.train.targets)


def test_the_published_interpolation_trains_on_them_and_predicts_their_own_rows(tmp_path, archive):
    words = [f"data.reader.path={archive}", "data.reader.cache=false", "data.batch_size=16", "training.baselines=false"]
    words += ["model.dynamics.process.latent_size=8", "model.encoder.points=8"]
    train(composed("experiment=stable_sde_paper/physionet2012", *words, *FAST, f"run_dir={tmp_path / 'run'}"))
    run = load(tmp_path / "run")
    predicted, series = run.predict(run.data.eval), run.data.eval
    assert predicted.latents.shape[:2] == predicted.rates.shape[:2] == series.targets.shape[:2]
    np.testing.assert_array_equal(np.isfinite(predicted.rates).all(-1), series.rows)
    assert (np.isfinite(series.targets) >= np.isfinite(series.shown)).all()  # learns what it is shown, too


def test_mortality_has_labels_and_hides_nothing(archive):
    data = reader(archive, task="mortality").read()
    assert data.class_names == ("survived", "died")
    labels = {name: label for s in parts(data) for name, label in zip(s.names.tolist(), s.labels.tolist(), strict=True)}
    assert labels == {f"a/{n.removesuffix('.txt')}": int(k % 3 == 0) for k, n in enumerate(sorted(record_texts(60)))}
    assert data.test.targets is None


def test_an_unknown_outcome_is_named(tmp_path):
    path = write_tar(tmp_path / "set-a.tar.gz", {f"set-a/{n}": t for n, t in record_texts(12).items()})
    with pytest.raises(DataError, match=r"outcome of record a/132000 .* put Outcomes-a.txt beside it"):
        reader(path, task="mortality").read()
    (tmp_path / "Outcomes-a.txt").write_text("RecordID,In-hospital_death\n132000,2\n")
    with pytest.raises(DataError, match="line 2 of the outcomes"):
        reader(path).read()
    (tmp_path / "Outcomes-a.txt").write_text("a,b\n")
    with pytest.raises(DataError, match=r"columns \['a', 'b'\]"):
        reader(path).read()


def test_the_cache_is_read_once_and_rebuilt_when_damaged_or_outdated(tmp_path, archive, monkeypatch):
    calls, parse_texts = [], record_cache.parse_texts
    monkeypatch.setattr(record_cache, "parse_texts", lambda *a: calls.append(1) or parse_texts(*a))
    folder = tmp_path / "cache"
    first, again = (load_records(Source("a", archive), str(folder)) for _ in range(2))
    assert len(calls) == 1
    for name in first._fields:
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
        assert getattr(first, name).dtype.kind == getattr(again, name).dtype.kind
    (entry,) = folder.glob("*.h5")
    content = bytearray(entry.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    entry.write_bytes(content)
    np.testing.assert_array_equal(load_records(Source("a", archive), str(folder)).values, first.values)
    assert len(calls) == 2
    monkeypatch.setattr(record_cache, "VERSION", 2)
    load_records(Source("a", archive), str(folder))
    write_set(archive.parent, record_texts(60, seed=5))
    assert not np.array_equal(load_records(Source("a", archive), str(folder)).values, first.values)
    assert len(calls) == 4


def test_settings_are_named(archive):
    for settings, sentence in [
        ({"observed": 1.3}, "data.reader.observed is 1.3"),
        ({"task": "both"}, "data.reader.task is both"),
        ({"stats": "test"}, "data.reader.stats is test"),
        ({"sets": "c"}, "data.reader.sets is c"),
    ]:
        with pytest.raises(ConfigError, match=sentence):
            reader(archive, **settings)
    with pytest.raises(DataError, match="There is no"):
        reader("nowhere").read()
    assert reader(archive).files() == [archive]


@pytest.mark.slow
def test_set_a_has_its_published_counts():
    path = shared_path("data/physionet2012/set-a.tar.gz")
    stays = load_records(find_sources(path, "a")[0], False)
    assert len(stays.names) == 4000
    assert stays.died.sum() == 554
    assert (stays.values == -1).sum(0)[[VARIABLES.index(v) for v in ("Height", "Weight", "Gender")]].tolist() == [1894, 326, 3]
    data = Physionet2012(path).read()
    assert [len(s) for s in parts(data)] == [2880, 320, 800]
