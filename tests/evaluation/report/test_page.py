"""The page is valid, whole in itself, and says what the run's files say."""

import json
import re

import html5lib
import numpy as np
import pytest

from neuralsde.errors import CheckpointError
from neuralsde.evaluation.report import write_report, write_trajectories
from neuralsde.evaluation.report.page import PAGE
from neuralsde.files import write_whole
from tests.evaluation.report.conftest import METRICS, RECORD, SCORES

LOADING = {"src", "href", "srcset", "data", "poster", "action", "background"}


def parsed(path):
    """The page's tree; html5lib raises at anything that is no valid HTML."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(path.read_text(encoding="utf-8"))


def text_of(tree):
    texts = ("".join(part.itertext()) for part in tree.find("body") if part.tag != "script")
    return " ".join(" ".join(texts).split())


def cells(tree):
    """Values by score and row, as the table shows them."""
    return {(c.get("data-key"), c.get("data-row")): c for c in tree.iter("td") if c.get("data-key")}


def payload(tree, name):
    (script,) = [s for s in tree.iter("script") if s.get("id") == name]
    return json.loads(script.text)


def test_the_page_is_valid_and_loads_nothing(run_folder):
    tree = parsed(write_report(run_folder()))
    for node in tree.iter():
        for name in LOADING & node.attrib.keys():
            assert re.match(r"#|data:image/png;base64,", node.get(name)), (node.tag, name, node.get(name)[:80])
    styles = " ".join(node.text for node in tree.iter("style"))
    assert "url(" not in styles
    assert "@import" not in styles
    (policy,) = [m.get("content") for m in tree.iter("meta") if m.get("http-equiv")]
    assert policy.startswith("default-src 'none'")


def test_numbers_equal_those_of_the_files(run_folder):
    tree = parsed(write_report(run_folder()))
    shown = {key: float(cell.get("data-value")) for key, cell in cells(tree).items()}
    rows = {"this model": SCORES, **SCORES["baselines"]}
    expected = {
        (key, row.replace("_", " ").replace("psth", "PSTH")): value
        for row, scores in rows.items()
        for key, value in scores.items()
        if isinstance(value, float)
    }
    assert shown == expected
    assert cells(tree)["co_bps", "this model"].text == "1.2500"
    best = {key for key, cell in cells(tree).items() if "best" in cell.get("class").split()}
    assert best == {("co_bps", "this model"), ("rate_r2", "smoothing")}
    text = text_of(tree)
    for part in (
        "python train.py 'a=[1,2]'",
        "52,573",
        "61 s",
        "torch 2.13.0",
        "sha256 " + "ab" * 32,
        "better than the best",
    ):
        assert part in text
    curves = {panel["title"]: panel["series"] for panel in payload(tree, "curves-data")}
    assert curves["Loss"][0]["y"] == [0.9, 0.7, 0.5]
    assert curves["co-bps"][0] == {"name": "val", "x": [2, 3], "y": [0.125, 0.0625], "best": [2, 0.125]}
    (hurst,) = payload(tree, "learned-data")
    assert hurst["title"] == "Hurst index of the noise"
    assert hurst["reference"] == 0.5
    assert [s["y"][-1] for s in hurst["series"]] == [0.3, 0.6]


def test_a_model_that_loses_to_a_baseline_is_told_so(run_folder):
    scores = SCORES | {"co_bps": 0.9}
    assert "no better than the best baseline (condition PSTH, 1.1250)" in text_of(
        parsed(write_report(run_folder(scores=scores)))
    )


def test_lower_is_better_where_it_is(run_folder):
    scores = {"rmse": 0.5, "baselines": {"persistence": {"rmse": 0.75}}}
    tree = parsed(write_report(run_folder(scores=scores)))
    assert "best" in cells(tree)["rmse", "this model"].get("class")
    assert "RMSE is 0.5000, better than" in text_of(tree)


def test_everything_that_a_user_can_name_is_escaped(run_folder):
    evil = "<script>alert(1)</script>"
    record = RECORD | {"choices": {"model": evil}, "starts": [RECORD["starts"][0] | {"command": f"python {evil}"}]}
    scores = {evil: 1.0, "baselines": {evil: {evil: 0.5}}}
    metrics = METRICS.replace("train/nll", f"train/{evil}")
    folder = run_folder("<img src=x onerror=alert(1)>", scores, metrics, record, config=f"seed: 0\nname: '{evil}'\n")
    write_trajectories(folder, np.zeros((2, 3, 4)), np.array([0, 1]), (evil, "b"), np.arange(3.0))
    tree = parsed(write_report(folder))
    scripts = [node for node in tree.iter("script") if "alert(1)" in (node.text or "") and node.get("type") is None]
    assert not scripts
    assert not [node for node in tree.iter("img") if node.get("src") == "x"]
    assert evil in text_of(tree)
    assert payload(tree, "trajectories-data")["conditions"][0]["name"] == evil


@pytest.mark.parametrize(
    ("parts", "panels"),
    [
        ({"scores": SCORES | {"co_bps": float("nan")}}, 3),
        ({"scores": SCORES | {"baselines": {}}}, 3),
        ({"metrics": "\n".join(METRICS.splitlines()[:2]) + "\n"}, 2),  # no validation yet
        ({"scores": None, "metrics": None, "record": None, "pictures": False}, 0),
        ({"scores": {"signal_r2": 0.5, "baselines": {"persistence": {"signal_r2": float("-inf")}}}, "record": None}, 3),
        ({"config": "seed: 1\n", "record": None}, 3),
    ],
    ids=["nan", "no baselines", "one epoch", "config alone", "infinite baseline", "no parts"],
)
def test_runs_with_less_write_a_report_too(run_folder, parts, panels):
    tree = parsed(write_report(run_folder(**parts)))
    assert len(payload(tree, "curves-data")) == panels
    assert "How it was made" in text_of(tree)


def test_a_score_that_is_not_a_number_says_so(run_folder):
    tree = parsed(write_report(run_folder(scores=SCORES | {"co_bps": float("nan")})))
    assert cells(tree)["co_bps", "this model"].text == "NaN"
    assert "co-bps could not be computed" in text_of(tree)


def test_a_checkpoint_names_its_run_and_another_folder_is_refused(run_folder, tmp_path):
    folder = run_folder()
    assert write_report(folder / "checkpoints" / "best.ckpt") == folder / "report.html"
    with pytest.raises(CheckpointError, match="give a run's folder"):
        write_report(tmp_path)


def test_channels_are_told_in_tables_of_their_own(run_folder):
    channels = {
        "weight_g": {"this model": {"rmse": 312.5, "coverage_90": 0.9}, "persistence": {"rmse": 400.0, "coverage_90": 1.0}}
    }
    text = text_of(parsed(write_report(run_folder(scores={"rmse": 1.0, "channels": channels}))))
    assert "RMSE by channel" in text
    assert "weight_g" in text
    assert "312.5" in text
    assert "nearest is best" in text


@pytest.mark.parametrize("name", ["scores.json", "run.json", "plots/trajectories.json", "plots/captions.json"])
def test_a_damaged_file_gets_a_sentence(run_folder, name):
    folder = run_folder()
    (folder / name).write_text("{")
    with pytest.raises(CheckpointError, match=rf"{name} is damaged .*: move it away"):
        write_report(folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [("scores.json", "[1, 2]"), ("plots/other.png", "no picture"), ("config.yaml", "a: [1"), ("config.yaml", "- 1")],
)
def test_a_file_of_another_kind_gets_a_sentence(run_folder, name, content):
    folder = run_folder()
    (folder / name).write_text(content)
    with pytest.raises(CheckpointError, match=f"{name} is damaged"):
        write_report(folder)


def test_a_table_of_epochs_that_cannot_be_read_is_left_out(run_folder):
    folder = run_folder()
    (folder / "metrics.csv").write_bytes(bytes(range(256)))
    assert "How it was made" in text_of(parsed(write_report(folder)))


def test_scores_of_other_trials_than_those_of_training_are_told_apart(run_folder):
    scored = {"data": {"name": "lorenz", "source": "session.nwb, phase test", "eval_trials": 7}}
    assert "Scored 7 trials of session.nwb, phase test" in text_of(parsed(write_report(run_folder(scores=SCORES | scored))))
    assert "trials of session.nwb" not in text_of(parsed(write_report(run_folder("same"))))


def test_added_pictures_come_with_title_and_caption(run_folder):
    tree = parsed(write_report(run_folder()))
    (image,) = [i for i in tree.iter("img")]
    assert image.get("alt") == "Flow & <field>. Arrows show the drift."
    assert "Flow & <field>. Arrows show the drift." in text_of(tree)


def test_long_runs_stay_small(run_folder):
    rows = "\n".join(f"{e},{e},{1 / (e + 1)},{e % 7},0.5,0.5,0.7,{e / 6000}" for e in range(6000))
    folder = run_folder(metrics=METRICS.splitlines()[0] + "\n" + rows + "\n")
    path = write_report(folder)
    assert path.stat().st_size < 200_000
    loss = payload(parsed(path), "curves-data")[0]["series"][0]
    assert loss["x"][-1] == 6000
    assert len(loss["x"]) <= 500


def test_the_scripts_close_no_tag_and_hold_no_template_marks():
    for name in ("theme.js", "curves.js", "trajectories.js", "report.css"):
        text = (PAGE / name).read_text()
        assert not re.search(r"</script|\{\{|\{%|\{#", text), name


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.txt"
    write_whole(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "\ud800")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    with pytest.raises(FileNotFoundError) as found:
        write_whole(tmp_path / "nowhere" / "a.txt", "new")
    assert found.value.filename == str(tmp_path / "nowhere" / "a.txt")
