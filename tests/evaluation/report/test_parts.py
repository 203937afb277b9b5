"""What the page is made from: paths, pictures, facts."""

import math

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from neuralsde.evaluation.glossary import SCORES, learned_name, picture_text, score_named
from neuralsde.evaluation.report.facts import duration
from neuralsde.evaluation.report.panels import significant
from neuralsde.evaluation.report.pictures import LARGE_BYTES, Picture, add_pictures, read_pictures
from neuralsde.evaluation.report.score_table import channel_tables, headline, score_tables, verdict
from neuralsde.evaluation.report.trajectories import MOST_POINTS, paths


def test_paths_are_means_of_conditions_in_principal_components():
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(10, 30, 2)).cumsum(1)
    latents = plane @ np.linalg.qr(rng.normal(size=(6, 2)))[0].T  # two dimensions within six
    condition = np.array([0, 0, 1, 1, 1, 1, 3, 3, 3, -1])
    drawn = paths(latents, condition, ("a=1, x=0", "a=2, x=0", "a=3, x=0", "a=4, x=0"), np.arange(30.0))
    assert [c["name"] for c in drawn["conditions"]] == ["a=1", "a=2", "a=4"]
    assert drawn["of"] == 3
    means = np.array([c["mean"] for c in drawn["conditions"]])
    np.testing.assert_allclose(means[0], np.mean(drawn["conditions"][0]["trials"], axis=0), atol=2e-3)
    np.testing.assert_allclose(means[..., 2] - means[0, 0, 2], 0, atol=1e-9)  # nothing is left for a third component
    # One map for all: shapes are those of the plane, up to one scale.
    original = np.array([plane[condition == c].mean(0) for c in (0, 1, 3)]).reshape(-1, 2)
    shown = means.reshape(-1, 3)
    d0, d1 = (np.linalg.norm(p[:, None] - p[None], axis=-1) for p in (original, shown))
    np.testing.assert_allclose(d1, d0 * d1.max() / d0.max(), atol=5e-3)


def test_long_paths_are_thinned_and_trials_without_conditions_are_drawn_alone():
    drawn = paths(np.random.default_rng(0).normal(size=(50, 700, 1)), np.full(50, -1), (), np.arange(700) * 0.5)
    assert len(drawn["times"]) == MOST_POINTS
    assert drawn["times"][-1] == 349.5
    (alone,) = drawn["conditions"]
    assert alone["mean"] is None
    assert len(alone["trials"]) == 24


def test_paths_that_stand_still_are_finite():
    drawn = paths(np.ones((3, 4, 2)), None, (), np.arange(4.0))
    assert np.isfinite(drawn["conditions"][0]["trials"]).all()


def test_large_pictures_shrink(tmp_path):
    figure = Figure((6, 6))
    figure.subplots().imshow(np.random.default_rng(0).random((300, 300)))
    add_pictures(tmp_path, [Picture("Noise", figure)])
    before = (tmp_path / "plots" / "noise.png").stat().st_size
    (shown,) = read_pictures(tmp_path)
    with Image.open(tmp_path / "plots" / "noise.png") as image:
        assert (shown.width, shown.height) == image.size
    assert before > LARGE_BYTES
    assert len(shown.source) * 3 / 4 < before


def test_a_picture_of_the_same_title_is_replaced(tmp_path):
    for caption in ("first", "second"):
        add_pictures(tmp_path, [Picture("A field", Figure((1, 1)), caption)])
    (shown,) = read_pictures(tmp_path)
    assert (shown.title, shown.caption) == ("A field", "second")


def test_scores_are_grouped_by_split_and_placed_between_worst_and_best():
    tables = score_tables({"b/co_bps": 1.0, "co_bps": 2.0, "baselines": {"x": {"co_bps": 1.0}, "y": {"co_bps": 1.75}}, "p": {}})
    assert list(tables) == ["", "b"]
    (line,) = tables[""]
    assert [c.place for c in line.cells] == [100.0, 0.0, 75.0]
    assert [c.best for c in line.cells] == [True, False, False]
    assert [c.value for c in tables["b"][0].cells] == [1.0, None, None]


def test_the_best_coverage_is_the_nearest_to_nominal_and_channels_have_lines_of_their_own():
    rows = {"this model": 0.93, "sure": 0.7, "unsure": 1.0}
    baselines = {row: {"coverage_90": value} for row, value in rows.items() if row != "this model"}
    content = {"coverage_90": rows["this model"], "baselines": baselines}
    (line,) = score_tables(content)[""]
    assert [c.best for c in line.cells] == [True, False, False]
    assert [c.place for c in line.cells] == pytest.approx([100, 0, 100 * 10 / 17])
    assert verdict(line) == ("90 % coverage is 0.9300, better than the best baseline (unsure, 1.0000).", True)
    told = {"this model": {"rmse": 300.0, "crps": 1.0}, "persistence": {"rmse": 200.0, "crps": 2.0}}
    tables = channel_tables({"channels": {"weight": told, "dose": {row: {"rmse": 1.0, "crps": 1.0} for row in told}}})
    assert list(tables) == ["RMSE by channel", "CRPS by channel"]
    assert [(line.key, [c.value for c in line.cells]) for line in tables["RMSE by channel"]] == [
        ("weight", [300.0, 200.0]),
        ("dose", [1.0, 1.0]),
    ]


def test_the_main_score_is_one_that_a_baseline_has_too():
    scores = {"state_r2": 0.95, "signal_r2": 0.5, "baselines": {"persistence": {"signal_r2": 0.75}}}
    assert headline(score_tables(scores)).key == "signal_r2"
    assert headline(score_tables(scores | {"baselines": {}})).key == "state_r2"
    assert headline(score_tables({})) is None


def test_names_that_are_not_listed_speak_for_themselves():
    assert score_named("new_score").name == "new score"
    assert score_named("co_bps") is SCORES["co_bps"]
    assert learned_name("hurst_knot_2")[0] == "Hurst index at knot 3"
    assert learned_name("friction")[1] == "per second"
    assert learned_name("sigma", "unit of model time")[1] == "state per √unit of model time"
    assert learned_name("half_life") == ("half life", "")
    assert picture_text("flow_field") == ("Flow field", "")


@pytest.mark.parametrize(
    ("seconds", "text"), [(28.4, "28 s"), (150.0, "2 min 30 s"), (7260.0, "2 h 1 min"), (math.nan, "not recorded")]
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_significant_digits():
    assert significant(123456.789, 3) == 123000.0
    assert math.isnan(significant(math.nan))
