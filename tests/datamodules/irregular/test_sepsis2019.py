import json
import zipfile

import numpy as np
import pytest

from neuralsde.datamodules.irregular.sepsis2019 import CHANNELS, COLUMNS, Sepsis2019, read_patient
from neuralsde.errors import ConfigError, DataError
from neuralsde.workflow import train
from tests.helpers.tiny import FAST, composed

HEADER = "|".join(COLUMNS)


def patient_text(hours, sepsis_from=None, seed=0, unit="NaN"):
    rng = np.random.default_rng(seed)
    lines = []
    for hour in hours:
        values = [f"{v:.2f}" if rng.random() < 0.4 else "NaN" for v in rng.normal(60, 9, len(CHANNELS))]
        lines.append(
            "|".join(
                [*values, "61", "1", unit, "NaN", "-3.5", str(hour), str(int(sepsis_from is not None and hour >= sepsis_from))]
            )
        )
    return "\n".join([HEADER, *lines]) + "\n"


@pytest.fixture
def texts():
    rng = np.random.default_rng(0)
    found = {}
    for k in range(40):
        hours = range(1, int(rng.integers(4, 90)))
        found[f"p{k:06d}.psv"] = patient_text(
            hours, sepsis_from=3 if k % 4 == 0 else None, seed=k, unit="1" if k % 2 else "NaN"
        )
    return found | {"p900000.psv": patient_text([1, 2])}


@pytest.fixture
def folder(tmp_path, texts):
    for k, (name, text) in enumerate(texts.items()):
        place = tmp_path / "sets" / ("training", "training_setB")[k % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    return tmp_path / "sets"


def test_the_published_recipe_trains_on_them(tmp_path, folder):
    words = [f"data.reader.path={folder}", "model.dynamics.latent_size=8", "data.batch_size=16", "training.baselines=true"]
    train(composed("experiment=stable_sde_paper/sepsis2019", *words, *FAST, f"run_dir={tmp_path / 'run'}"))
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert {"log_loss", "accuracy", "auroc", "calibration_error"} <= scores.keys()


def parts(data):
    return data.train, data.val, data.test


def test_patients_are_cut_at_72_hours_and_split_by_label(folder):
    data = Sepsis2019(folder, intensity=False, scale="none").read()
    assert [len(s) for s in parts(data)] == [28, 6, 6]  # p900000 has two rows
    assert sum(int(s.labels.sum()) for s in parts(data)) == 10
    assert max(s.times.max() for s in parts(data)) == 72
    assert data.static_names == ("Age", "Gender", "Unit1", "Unit2", "HospAdmTime")
    assert data.channel_names == CHANNELS


def test_sepsis_after_the_last_hour_does_not_count():
    late, early = (read_patient("p.psv", patient_text(range(1, 80), sepsis_from=h).encode(), False) for h in (73, 72))
    assert (late.label, early.label) == (0, 1)


def test_skipped_hours_get_rows_only_when_asked_for():
    text = patient_text([2, 3, 6]).encode()
    own, every = (read_patient("p.psv", text, flag) for flag in (False, True))
    assert own.hours.tolist() == [2, 3, 6]
    assert every.hours.tolist() == [1, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal(every.values[[1, 2, 5]], own.values)
    assert np.isnan(every.values[[0, 3, 4]]).all()


def test_intensity_counts_measurements_and_marks_known_units(folder):
    plain, counted = (Sepsis2019(folder, intensity=flag, scale="none").read() for flag in (False, True))
    n = len(CHANNELS)
    np.testing.assert_array_equal(counted.test.values[..., n:], plain.test.values)
    seen = np.cumsum(~np.isnan(plain.test.values), axis=1)
    rows = np.arange(seen.shape[1]) < plain.test.length[:, None]
    np.testing.assert_array_equal(counted.test.values[..., :n][rows], seen[rows])
    np.testing.assert_array_equal(counted.test.static[:, 5], ~np.isnan(plain.test.static[:, 2]))
    assert counted.channel_names[:2] == ("HR count", "O2Sat count")


def test_scale_is_that_of_training_patients_and_leaves_flags_alone(folder):
    data = Sepsis2019(folder).read()
    np.testing.assert_allclose(np.nanmean(data.train.values[..., -1]), 0, atol=1e-4)
    np.testing.assert_allclose(np.nanstd(data.train.values[..., -1]), 1, atol=1e-4)
    assert set(np.unique(data.train.static[:, 5:])) <= {0.0, 1.0}


def test_archives_give_what_the_folder_gives(tmp_path, folder, texts):
    with zipfile.ZipFile(tmp_path / "training_setA.zip", "w") as archive:
        for name, text in texts.items():
            archive.writestr(f"../training/{name}", text)
    ours, theirs = (Sepsis2019(p).read() for p in (folder, tmp_path / "training_setA.zip"))
    np.testing.assert_array_equal(ours.test.values, theirs.test.values)
    assert Sepsis2019(tmp_path / "training_setA.zip").files() == [tmp_path / "training_setA.zip"]
    (tmp_path / "training_setA.zip").write_bytes(b"PK no archive")
    with pytest.raises(DataError, match="the archive cannot be read"):
        Sepsis2019(tmp_path / "training_setA.zip").read()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("HR|O2Sat\n1|2\n", "the header is not that of the challenge"),
        (patient_text([1, 1]), "line 3: hour ICULOS 1 is not after"),
        (patient_text([1, 2]).replace("-3.5", "x"), "line 2: a cell is no number"),
        (patient_text([1, 2]).replace("-3.5", "inf"), "line 2: 41 finite numbers"),
        (patient_text([1, 2]).replace("|-3.5", ""), "line 2: 41 finite numbers"),
    ],
)
def test_damaged_files_are_named(text, sentence):
    with pytest.raises(DataError, match=f"p1.psv.*{sentence}"):
        read_patient("p1.psv", text.encode(), False)


def test_nothing_to_read_and_impossible_settings_are_said(tmp_path):
    with pytest.raises(DataError, match="There is no"):
        Sepsis2019(tmp_path / "none").read()
    with pytest.raises(DataError, match=r"holds no .psv files"):
        Sepsis2019(tmp_path).read()
    with pytest.raises(ConfigError, match=r"data.reader.scale is log"):
        Sepsis2019(tmp_path, scale="log")
