import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from neuralsde.datamodules.irregular import SeriesDataModule
from neuralsde.datamodules.irregular.ahead import real_rows
from neuralsde.datamodules.irregular.baselines import last3_ridge, persistence, window_ridge
from neuralsde.datamodules.irregular.module import CALIBRATION_CUTS
from neuralsde.datamodules.irregular.table import TableSeries
from neuralsde.errors import ConfigError, DataError
from tests.helpers.table_files import HEADER, csv_text, random_rows


@pytest.fixture
def rows():
    return random_rows(20)


@pytest.fixture
def written(tmp_path):
    def write(text, name="mine.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return write


def reader(path, task="interpolation", **settings):
    return TableSeries(path, task, **{"channels": ("x", "y"), "scale": "none"} | settings)


def parts(data):
    return data.train, data.val, data.test


def by_name(data):
    return {name: (s, k) for s in parts(data) for k, name in enumerate(s.names.tolist())}


def test_every_series_keeps_its_own_times(written, rows):
    data = reader(written(csv_text(rows)), hidden=0.0).read()
    assert [len(s) for s in parts(data)] == [14, 3, 3]
    for name, (series, k) in by_name(data).items():
        own = [row for row in rows if row[0] == name]
        n = series.length[k]
        np.testing.assert_array_equal(series.times[k, :n], [float(row[1]) for row in own])
        expected = np.array([[float(c or "nan") for c in row[2:4]] for row in own], np.float32)
        np.testing.assert_array_equal(series.values[k, :n], expected)
        assert np.isnan(series.values[k, n:]).all()


def test_series_may_be_interleaved(written, rows):
    order = np.argsort([float(row[1]) for row in rows], kind="stable")
    apart, mixed = (reader(written(csv_text(r))).read() for r in (rows, [rows[k] for k in order]))
    ours, theirs = by_name(apart), by_name(mixed)
    assert ours.keys() == theirs.keys()
    for name, (series, k) in ours.items():
        other, j = theirs[name]
        n = series.length[k]
        np.testing.assert_array_equal(series.targets[k, :n], other.targets[j, :n])


@pytest.mark.parametrize("hide", ["values", "points"])
def test_hidden_values_are_counted_and_drawn_anew_by_epoch(written, rows, hide):
    module = reader(written(csv_text(rows)), hidden=0.4, hide=hide)
    data = module.read()
    for series in parts(data):
        seen, known = ~np.isnan(series.values), ~np.isnan(series.targets)
        assert (seen <= known).all()
        if hide == "values":
            total = known.sum((1, 2))
            np.testing.assert_array_equal(total - seen.sum((1, 2)), np.round(total * 0.4))
    again = reader(written(csv_text(rows)), hidden=0.4, hide=hide)
    np.testing.assert_array_equal(again.read().test.values, data.test.values)
    epochs = [module.redraw(data.train, epoch).values for epoch in (0, 1, 0)]
    np.testing.assert_array_equal(epochs[0], epochs[2])
    assert (np.isnan(epochs[0]) != np.isnan(epochs[1])).any()


def test_forecasts_cut_rows_or_time_off(written, rows):
    path = written(csv_text(rows))
    by_rows, by_time = reader(path, "forecast", ahead_rows=2).read(), reader(path, "forecast", ahead_time=1.5).read()
    for name, (series, k) in by_name(by_rows).items():
        own = np.array([float(row[1]) for row in rows if row[0] == name])
        np.testing.assert_array_equal(series.ahead_times[k], own[-2:])
        np.testing.assert_array_equal(series.times[k, : series.length[k]], own[:-2])
        later, j = by_name(by_time)[name]
        np.testing.assert_array_equal(later.times[j, : later.length[j]], own[own <= own[-1] - 1.5])
        coming = own[own > own[-1] - 1.5]
        np.testing.assert_array_equal(later.ahead_times[j, : len(coming)], coming)
        assert np.isnan(later.ahead[j, len(coming) :]).all()


@pytest.mark.parametrize("ahead", [{"ahead_rows": 2}, {"ahead_time": 2.5}])
def test_baselines_forecast_them(written, ahead):
    data = reader(written(csv_text(random_rows(60))), "forecast", scale="z", **ahead).read()
    for baseline in (persistence, last3_ridge, window_ridge):
        scores = baseline(data).scores
        assert set(scores) == {"mse", "nll", "crps"}
        assert 0 < scores["mse"] < 5
        assert 0 < scores["crps"] < 2


def test_classes_static_columns_and_a_split_of_ones_own(written, rows):
    split = {f"s{k}": ("train", "val", "test")[min(k // 7, 2)] for k in range(20)}
    text = csv_text([[*row, split[row[0]]] for row in rows], [*HEADER, "part"])
    settings = {"channels": None, "static": ("weight",), "label_column": "kind", "split_column": "part"}
    data = reader(written(text), "classification", **settings).read()
    assert data.channel_names == ("x", "y")
    assert data.class_names == ("down", "up")
    assert data.train.names.tolist() == [f"s{k}" for k in range(7)]
    np.testing.assert_array_equal(data.val.static[:, 0], [50 + k for k in range(7, 14)])
    np.testing.assert_array_equal(data.test.labels, [k % 2 for k in range(14, 20)])
    assert data.train.targets is None


def test_dates_become_time_since_the_first_row(written, rows):
    dates = [
        [r[0], str(np.datetime64("2024-03-01T00:00:00") + np.timedelta64(round(float(r[1]) * 3600), "s")), *r[2:]] for r in rows
    ]
    data = reader(written(csv_text(dates)), time_unit="h", hidden=0.0).read()
    for name, (series, k) in by_name(data).items():
        own = np.array([float(row[1]) for row in rows if row[0] == name])
        np.testing.assert_allclose(series.times[k, : series.length[k]], own - own[0], atol=1e-3)


def test_parquet_gives_what_csv_gives(tmp_path, written, rows):
    text = reader(written(csv_text(rows))).read()
    columns = {
        "series": [r[0] for r in rows],
        "time": np.array([r[1] for r in rows], np.float64),
        "x": np.array([r[2] for r in rows], np.float64),
        "y": [float(r[3]) if r[3] else None for r in rows],
    }
    pq.write_table(pa.table(columns), tmp_path / "mine.parquet")
    data = reader(tmp_path / "mine.parquet").read()
    for ours, theirs in zip(parts(data), parts(text), strict=True):
        np.testing.assert_array_equal(ours.values, theirs.values)
        np.testing.assert_array_equal(ours.times, theirs.times)
    stamps = np.array([r[1] for r in rows], np.float64) * 1000
    columns["time"] = np.datetime64("2024-03-01", "ms") + stamps.astype("timedelta64[ms]")
    pq.write_table(pa.table(columns), tmp_path / "dated.parquet")
    dated = reader(tmp_path / "dated.parquet").read()
    np.testing.assert_allclose(dated.test.times, text.test.times - text.test.times[:, :1], atol=1e-6)


def test_nanoseconds_stay_apart_and_zones_are_kept(tmp_path, written):
    ticks = np.datetime64("2024-03-01", "ns") + np.tile(np.arange(3), 20).astype("timedelta64[ns]")
    columns = {"series": np.repeat(np.arange(20), 3), "x": np.arange(60.0), "y": np.arange(60.0)}
    pq.write_table(pa.table(columns | {"time": pa.array(ticks, pa.timestamp("ns", "UTC"))}), tmp_path / "fine.parquet")
    data = reader(tmp_path / "fine.parquet").read()
    np.testing.assert_allclose(data.val.times, np.tile([0, 1e-9, 2e-9], (3, 1)))
    assert (data.zone, data.val.origin[0]) == ("+00:00", ticks[0])
    zoned = ["series,time,x,y", *(f"s{k},2024-03-0{d}T0{d}:00+02:00,1,{k + d}" for k in range(20) for d in (1, 2))]
    data = reader(written("\n".join(zoned))).read()
    assert (data.zone, str(data.val.origin[0])) == ("+00:00", "2024-02-29T23:00:00.000000")


def test_two_columns_of_one_name_are_refused_in_parquet_too(tmp_path):
    table = pa.Table.from_arrays([pa.array(["a", "b"])] * 2, names=["x", "x"])
    pq.write_table(table, tmp_path / "twice.parquet")
    with pytest.raises(DataError, match="2 columns are called `x`"):
        reader(tmp_path / "twice.parquet").read()


def test_what_may_be_another_unit_or_lose_its_digits_is_told(written, capsys):
    def told(**change):
        rows = [{"series": f"s{k}", "time": t * 1.0, "x": 5.0 + t + k % 3, "y": t * 1.0} for k in range(20) for t in range(5)]
        for row in rows:
            row |= {name: value(row) for name, value in change.items()}
        header = ["series", "time", "x", "y"]
        reader(written(csv_text([[f"{row[name]}" for name in header] for row in rows], header))).read()
        return capsys.readouterr().err

    own = {"s3", "s4"}
    assert told() == ""
    minutes = told(time=lambda row: row["time"] * (60 if row["series"] in own else 1))
    assert "rows are 60 in series `s3` and 1 in series `s19` apart" in minutes
    assert "column `x`" in told(x=lambda row: row["x"] * (1000 if row["series"] in own else 1))
    assert "column `y` changes by about 1, of which single precision tells only steps of 64" in told(
        y=lambda row: row["y"] + 1e9
    )


def test_columns_of_whole_series_units_of_dates_and_empty_static_cells_are_told(written, capsys):
    def told(channels=("x", "y"), dates=False, empty=(), **settings):
        days = np.arange(np.datetime64("2024-03-01"), np.datetime64("2024-03-06"))
        times = days.astype(str) if dates else [f"{t}" for t in range(5)]
        ages = ["" if k in empty else f"{50 + k}" for k in range(20)]
        rows = [[f"s{k}", t, f"{k + n**2}", f"{n}", age] for k, age in enumerate(ages) for n, t in enumerate(times)]
        path = written(csv_text(rows, ["series", "time", "x", "y", "age"]))
        reader(path, channels=channels, **settings).read()
        return capsys.readouterr().err

    assert told() == ""
    assert "column `age` changes in no series; if it belongs to the series as a whole, give 'data.reader.static=[age]'" in told(
        ("x", "y", "age")
    )
    assert told(static=["age"]) == ""
    assert "column `age` is empty for 2 of 20 series (first `s3`); the model is told" in told(static=["age"], empty=(3, 8))
    assert "dates are 86400 s apart in the middle; data.reader.time_unit=d tells horizons" in told(dates=True)
    assert told(dates=True, time_unit="d") == ""


def test_one_class_is_refused_by_the_file(written, rows):
    path = written(csv_text([[*row[:5], "up"] for row in rows]))
    with pytest.raises(DataError, match=r"mine\.csv: all 20 series are of class `up`"):
        reader(path, "classification", label_column="kind").read()


def test_long_identities_stay_apart(tmp_path):
    ids, first = 2**53 + np.repeat(np.arange(20), 3), np.tile([0.0, 1.0, 2.0], 20)
    pq.write_table(pa.table({"series": ids, "time": first, "x": first, "y": first}), tmp_path / "ids.parquet")
    data = reader(tmp_path / "ids.parquet").read()
    assert {str(n) for n in range(2**53, 2**53 + 20)} == {*data.train.names, *data.val.names, *data.test.names}


def test_a_damaged_parquet_file_or_a_missing_reader_is_said(tmp_path, written, monkeypatch):
    path = written("no parquet", "mine.parquet")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        reader(path).read()
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ConfigError, match=r'needs pyarrow: pip install "neuralsde\[irregular\]"'):
        reader(path).read()


def test_training_statistics_alone_scale(written, rows):
    split = {f"s{k}": ("train", "val", "test")[min(k // 7, 2)] for k in range(20)}

    def read(shift, stats):
        moved = [[*r[:2], f"{float(r[2]) + shift * (split[r[0]] == 'test')}", *r[3:], split[r[0]]] for r in rows]
        path = written(csv_text(moved, [*HEADER, "part"]))
        return reader(path, split_column="part", scale="z", stats=stats).read().train.targets

    np.testing.assert_array_equal(read(0, "train"), read(1e6, "train"))
    assert not np.array_equal(read(0, "all"), read(1e6, "all"), equal_nan=True)
    assert abs(np.nanmean(read(0, "train")[..., 0])) < 1e-6


BAD_ROWS = {
    "unsorted": (["s1,2,1,1", "s1,1,1,1"], "line 3: series `s1` is earlier than the row before it"),
    "repeated": (["s1,2,1,1", "s1,2,1,1"], "line 3: series `s1` repeats the time before it"),
    "one point": (["s1,2,1,1"], "line 2: series `s1` has one row"),
    "empty series": (["s1,1,,", "s1,2,,NaN", "s2,1,1,1", "s2,2,1,1"], "not one value of series `s1`"),
    "empty channel": (["s1,1,,1", "s1,2,,1"], "not one value of column `x`"),
    "infinite": (["s1,1,inf,1", "s1,2,1,1"], "line 2: column `x` is infinite"),
    "beyond float32": (["s1,1,1,1", "s1,2,1e39,1"], r"line 3: column `x` is 1e\+39, beyond single precision"),
    "half in ms": (
        ["s1,0,1,1", "s1,10,1,1", "s2,0,1,1", "s2,9,1,1", "s3,0,1,1", "s3,9500,1,1", "s4,0,1,1", "s4,9900,1,1"],
        "series `s2` spans 9 in time .* several units",
    ),
    "no number": (["s1,1,1,1", "s1,2,12a,1"], "line 3: column `x` holds `12a`, which is no number"),
    "longer": (
        ["s1,0,1,1", "s1,10,1,1", "s2,0,1,1", "s2,36000,1,1", "s3,0,1,1", "s3,9,1,1"],
        "line 4: series `s2` spans 36000 in time and the others 9.5",
    ),
    "mixed times": (["s1,1,1,1", "s1,2024-01-01,1,1"], "line 3: time `2024-01-01` in column `time` is not of the kind"),
    "no time": (["s1,1,1,1", "s1,,1,1"], "line 3: time `` in column `time`"),
    "odd times": (["s1,today,1,1", "s1,then,1,1"], "line 2: time `today` in column `time` is neither a number nor an ISO date"),
    "zones": (["s1,2024-01-01T00:00,1,1", "s1,2024-01-01T01:00Z,1,1"], "line 3: some times in column `time` have a zone"),
    "one number": (["s1,2024-01-01,1,1", "s1,3,1,1", "s1,2024-01-03,1,1"], "line 3: time `3` .* which are dates"),
    "joined dates": (["s1,20240131,1,1", "s1,20240201,1,1"], "line 2: time `20240131` .* write it as 2024-01-31"),
    "no series": (["s1,1,1,1", ",2,1,1"], "line 3: column `series` is empty"),
    "long cell": (["s1,1,1,1", 's1,2,"' + "1,2,3,4" * 200], "line 3: a cell has 1400 characters"),
    "short row": (["s1,1,1,1", "s1,2,1"], "line 3: has 3 cells, but the header names 4"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_rows_are_refused_by_line_series_and_column(written, case):
    lines, sentence = BAD_ROWS[case]
    with pytest.raises(DataError, match=sentence):
        reader(written("\n".join(["series,time,x,y", *lines]))).read()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the file is empty"),
        ("series,time,x,y\n", "holds no rows"),
        ("series;time;x;y\na;1;1;1\n", "its separator seems to be ;: give .data.reader.separator=';'. on the command line"),
        ("series\ttime\tx\ty\n", "its separator seems to be a tab"),
        ("series,time,x,x\na,1,1,1\n", "2 columns are called `x`"),
        ("series,time,,y\na,1,1,1\n", "column 3 has no name"),
        ("id,time,x,y\na,1,1,1\n", r"no column `series` \(data.reader.series_column\)"),
        ("series,time,x\na,1,1\na,2,1\n", r"no column `y` \(data.reader.channels\)"),
    ],
)
def test_bad_headers_are_refused(written, text, sentence):
    with pytest.raises(DataError, match=sentence):
        reader(written(text)).read()


def test_other_encodings_are_refused_and_a_byte_order_mark_is_none(written, rows):
    text = csv_text(rows)
    plain, marked = (reader(written(text, encoding=e)).read() for e in ("utf-8", "utf-8-sig"))
    np.testing.assert_array_equal(plain.test.values, marked.test.values)
    with pytest.raises(DataError, match="is no UTF-8 text"):
        reader(written(text, encoding="utf-16")).read()
    with pytest.raises(DataError, match="There is no file"):
        reader("nowhere.csv").read()


def test_other_separators_are_read(written, rows):
    commas, tabs = reader(written(csv_text(rows))), reader(written(csv_text(rows, separator="\t"), "mine.tsv"), separator="\t")
    np.testing.assert_array_equal(commas.read().val.values, tabs.read().val.values)


def test_what_differs_within_a_series_is_named(written, rows):
    rows[1][5] = "sideways"
    path = written(csv_text(rows))
    with pytest.raises(DataError, match="line 3: series `s0` has `sideways` in column `kind` after `down`"):
        reader(path, "classification", label_column="kind").read()
    rows[1][4] = "51"
    with pytest.raises(DataError, match=r"line 3: series `s0` has `51.0` in column `weight` after `50.0`"):
        reader(written(csv_text(rows)), static=("weight",)).read()


def test_splits_of_ones_own_are_checked(written, rows):
    def read(part_of):
        text = csv_text([[*row, part_of(int(row[0][1:]))] for row in rows], [*HEADER, "part"])
        return reader(written(text), "classification", label_column="kind", split_column="part").read()

    with pytest.raises(DataError, match="no series of class `up` is for training"):
        read(lambda k: "test" if k % 2 else ("train", "val")[k % 4 // 2])
    with pytest.raises(DataError, match="series `s0` has `training` in column `part`"):
        read(lambda k: "training")
    with pytest.raises(DataError, match="no series has `val`"):
        read(lambda k: ("train", "test")[k % 3 == 0])


def test_a_channel_unknown_in_training_is_named(written, rows):
    text = csv_text(
        [
            [*r[:3], r[3] if r[0] == "s19" else "", *r[4:], "test" if r[0] == "s19" else ("train", "val")[r[0] == "s3"]]
            for r in rows
        ],
        [*HEADER, "part"],
    )
    with pytest.raises(DataError, match="column `y` is known in the training series"):
        reader(written(text), split_column="part").read()


def test_too_little_to_forecast_from_is_named(written, rows):
    with pytest.raises(DataError, match=r"series `s\d+` has \d rows, of which \d are to be forecast"):
        reader(written(csv_text(rows)), "forecast", ahead_rows=6).read()


@pytest.mark.parametrize(
    ("task", "settings", "sentence"),
    [
        ("regression", {}, "data.reader.task is regression"),
        ("classification", {}, "data.reader.label_column is null"),
        ("forecast", {}, "give one of data.reader.ahead_rows and data.reader.ahead_time"),
        ("forecast", {"ahead_rows": 0}, "data.reader.ahead_rows is 0"),
        ("forecast", {"ahead_time": -1.0}, "data.reader.ahead_time is -1"),
        ("interpolation", {"hidden": 1.0}, "data.reader.hidden is 1.0"),
        ("interpolation", {"hide": "rows"}, "data.reader.hide is rows"),
        ("interpolation", {"separator": ";;"}, "data.reader.separator is `;;`"),
        ("interpolation", {"time_unit": "year"}, "data.reader.time_unit is year"),
        ("interpolation", {"shares": (0.5, 0.5, 0.5)}, "with sum 1.5"),
        ("interpolation", {"shares": (0.5, 0.5)}, "give three shares"),
    ],
)
def test_settings_are_named(task, settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        reader("unread.csv", task, **settings)


def stretches(gap, pieces=2):
    """Seven series of six rows a day apart, of which `s1` goes on after the last one, `gap` days later."""
    lines = [f"s{k},{t},1,{t}" for k in range(7) for t in range(6)]
    return [*lines, *(f"s1,{5 + gap * n + t},1,{t}" for n in range(1, pieces) for t in range(3))]


def test_a_series_that_goes_on_later_behind_others_is_told_of(written, rows, capsys):
    reader(written("\n".join(["series,time,x,y", *stretches(60)]))).read()
    told = capsys.readouterr().err
    assert "line 44: series `s1` goes on behind rows of others, 60 after its last row, where rows are usually 1 apart" in told
    assert "give them two names" in told
    late = [[row[0], str(float(row[1]) + 500 * (float(row[1]) > 1)), *row[2:4]] for row in rows]
    by_time = sorted(late, key=lambda row: float(row[1]))
    for plain in (stretches(3), [",".join(row) for row in by_time]):
        reader(written("\n".join(["series,time,x,y", *plain])), check_spans=False).read()
        assert "goes on behind" not in capsys.readouterr().err


def test_a_second_stretch_that_begins_anew_is_refused_as_two_series(written):
    with pytest.raises(DataError, match=r"line 44: series `s1` is earlier than .* give two series two names"):
        reader(written("\n".join(["series,time,x,y", *stretches(-4)]))).read()


@pytest.mark.parametrize("ahead", [{"ahead_rows": 2}, {"ahead_time": 0.8}])
def test_random_cuts_forecast_rows_that_follow_those_shown(written, rows, ahead):
    module = reader(written(csv_text(rows)), "forecast", cuts="random", **ahead)
    data, ends = module.read().train, set()
    whole = {}
    for name in data.names.tolist():
        own = [row for row in rows if row[0] == name]
        cells = np.array([[float(c or "nan") for c in row[2:4]] for row in own], np.float32)
        whole[name] = dict(zip((float(row[1]) for row in own), cells, strict=True))
    for epoch in range(6):
        again = module.redraw(data, epoch)
        assert again.ahead.shape == data.ahead.shape
        for n, name in enumerate(again.names.tolist()):
            shown, real = again.length[n], real_rows(again)[n]
            times = np.concatenate([again.times[n, :shown], again.ahead_times[n, real]])
            values = np.concatenate([again.values[n, :shown], again.ahead[n, real]])
            assert times.tolist() == list(whole[name])[: len(times)]
            np.testing.assert_array_equal(values, np.stack(list(whole[name].values())[: len(times)]))
            assert shown >= module.shortest
            if "ahead_rows" in ahead:
                assert real.sum() == 2
            else:
                assert times[shown] > times[-1] - 0.8 >= times[shown - 1]
            ends.add((name, len(times)))
        np.testing.assert_array_equal(again.values, module.redraw(data, epoch).values)
    assert len(ends) > 2 * len(data)
    assert reader(written(csv_text(rows)), "forecast", **ahead).redraw(data, 0) is None


def test_random_cuts_become_trials_like_the_others(written, rows):
    own = reader(written(csv_text(rows)), "forecast", cuts="random", ahead_rows=2)
    module = SeriesDataModule(own, "forecast", "mine", batch_size=32, residual="default", last_rows=2, units_ahead="time")
    plain = module.data.train
    cells = {(row[0], float(row[1])): [float(c or "nan") for c in row[2:4]] for row in rows}
    ends = set()
    for epoch in range(4):
        trials = module.redrawn(range(epoch * len(plain), (epoch + 1) * len(plain)))
        assert trials.heldin.shape == plain.heldin.shape
        assert trials.targets.shape == plain.targets.shape
        at = trials.rows
        told = [
            cells[name, time] for name, times, own in zip(trials.names, trials.stamps, at, strict=True) for time in times[own]
        ]
        np.testing.assert_allclose(trials.in_units(trials.targets)[at], told, rtol=1e-4, atol=1e-4)
        assert np.isnan(trials.targets[~at]).all()
        ends |= {(name, times[own][-1]) for name, times, own in zip(trials.names, trials.stamps, at, strict=True)}
    assert len(ends) > len(plain)
    first, *cuts = module.calibration_trials()
    np.testing.assert_array_equal(first.targets, module.data.eval.targets)
    assert len(cuts) == CALIBRATION_CUTS
    assert all(part.names.tolist() == first.names.tolist() for part in cuts)
    assert len({tuple(part.stamps[part.rows].tolist()) for part in (first, *cuts)}) > 2
    ends_alone = SeriesDataModule(reader(own.path, "forecast", ahead_rows=2), "forecast", "mine", batch_size=32)
    assert len(ends_alone.calibration_trials()) == 1


def dense(tmp_path, n_series=24, n_rows=12, unknown=0):
    """A table of series of one length, of whose first rows nothing is known."""
    rng = np.random.default_rng(0)
    path = tmp_path / "dense.csv"
    cells = [
        (f"s{k}", t, *(("", "") if t < unknown else rng.normal(size=2).round(4)))
        for k in range(n_series)
        for t in range(n_rows)
    ]
    path.write_text(",".join(HEADER[:4]) + "\n" + "\n".join(",".join(map(str, cell)) for cell in cells))
    return path


def cut_lengths(own, epochs=12):
    data = own.read().train
    return np.array([own.redraw(data, epoch).length for epoch in range(epochs)])


def test_series_of_one_length_are_cut_in_many_places(tmp_path):
    own = reader(dense(tmp_path), "forecast", cuts="random", ahead_rows=3)
    assert set(cut_lengths(own).ravel().tolist()) == {5, 6, 7, 8, 9}  # from half of the nine rows shown to all of them


def test_a_cut_leaves_known_values_on_either_side(tmp_path):
    own = reader(dense(tmp_path, unknown=7), "forecast", cuts="random", ahead_rows=3)
    assert set(cut_lengths(own).ravel().tolist()) == {8, 9}


def test_trials_of_random_cuts_read_the_last_rows_alone(tmp_path):
    own = reader(dense(tmp_path), "forecast", cuts="random", ahead_rows=3)
    module = SeriesDataModule(own, "forecast", "mine", batch_size=32, residual="default", last_rows=2)
    n = len(module.data.train)
    seen = [np.isfinite(module.redrawn(range(k * n, (k + 1) * n)).heldin).all(2).sum(1) for k in range(4)]
    assert (np.array(seen) == 2).all()


def test_a_value_is_calibrated_on_once(tmp_path):
    own = reader(dense(tmp_path, n_series=40), "forecast", cuts="random", ahead_rows=3)
    module = SeriesDataModule(own, "forecast", "mine", batch_size=32, residual="default", last_rows=2)
    first, *cuts = module.calibration_trials()
    cells = []
    for trials in (first, *cuts):
        known = np.isfinite(trials.targets).any(2)
        cells += [(name, t) for name, times, at in zip(trials.names, trials.stamps, known, strict=True) for t in times[at]]
    assert len(cells) == len(set(cells))
    assert np.isfinite(first.targets).any(2).sum() == 3 * len(first)
    assert len(cells) > 4 * len(first)
