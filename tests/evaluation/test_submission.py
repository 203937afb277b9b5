"""Submission and target files, scored by us and by nlb_tools."""

import os
from dataclasses import replace

import h5py
import numpy as np
import pytest

from neuralsde.errors import DataError, NeuralSDEError
from neuralsde.evaluation.score_file import evaluate
from neuralsde.evaluation.scores import score
from neuralsde.evaluation.submission import write_submission, write_targets

NLB_NAMES = {"co_bps": "co-bps", "fp_bps": "fp-bps", "vel_r2": "vel R2", "psth_r2": "psth R2", "tp_corr": "tp corr"}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def reaching(recording, rng):
    """The recording with velocity, two decoders and PSTHs, under a name that the benchmark knows."""
    splits = {}
    for name in ("train", "eval"):
        trials = getattr(recording, name)
        velocity = (trials.rates[:, :20] @ rng.normal(size=(12, 2))).astype(np.float32)
        velocity[3, :4] = np.nan
        mask = np.stack([np.arange(len(trials)) % 2 == k for k in (0, 1)], axis=1)
        splits[name] = replace(trials, behavior=velocity, decode_mask=mask)
    psth = np.stack([recording.train.rates[recording.train.condition == c].mean(0)[:20] for c in range(6)])
    psth[:, :2] = np.nan
    return replace(recording, name="mc_maze_20", behavior_kind="continuous", psth=psth.astype(np.float32), **splits)


@pytest.fixture
def timing(recording, rng):
    """The recording with produced times, jitter and bins that are not scored, as DMFC_RSG has them."""
    splits = {}
    for name in ("train", "eval"):
        trials = getattr(recording, name)
        n = len(trials)
        behavior = np.column_stack([rng.integers(0, 2, (n, 3)), rng.choice([500, 800], n), rng.normal(700, 90, n)])
        behavior[1] = np.nan
        heldout = trials.heldout.copy()
        heldout[::3, :5] = np.nan
        jitter = rng.integers(0, 2, n)
        splits[name] = replace(trials, behavior=behavior.astype(np.float32), heldout=heldout, jitter=jitter)
    psth = np.stack([recording.train.rates[recording.train.condition == c].mean(0)[:20] for c in range(6)])
    psth[:, :3] = np.nan
    return replace(recording, name="dmfc_rsg", behavior_kind="timing", psth=psth.astype(np.float32), **splits)


@pytest.mark.parametrize("kind", ["reaching", "timing"])
def test_files_score_as_nlb_tools_says(kind, request, rng, tmp_path):
    nlb = pytest.importorskip("nlb_tools.evaluation", reason="nlb_tools is not installed")
    data = request.getfixturevalue(kind)
    rates = [(t.rates * np.exp(0.3 * rng.normal(size=t.rates.shape))).astype(np.float32) for t in (data.train, data.eval)]
    files = tmp_path / "targets.h5", tmp_path / "submission.h5"
    write_targets(files[0], data)
    write_submission(files[1], data, *rates)
    (theirs,) = nlb.evaluate(*map(str, files))[0].values()
    ours = evaluate(*files)[data.name]
    direct = score(data, *rates)
    assert {NLB_NAMES[key] for key in ours} == set(theirs)
    assert len(theirs) == 4
    for key, value in ours.items():
        assert value == pytest.approx(theirs[NLB_NAMES[key]], abs=1e-9)
        assert direct[key] == pytest.approx(value, abs=1e-9)
    assert ours["co_bps"] > 0.1


def test_a_submission_has_the_benchmarks_layout(reaching, tmp_path):
    path = tmp_path / "new folder" / "submission.h5"
    write_submission(path, reaching, reaching.train.rates, reaching.eval.rates)
    write_submission(path, replace(reaching, name="mc_rtt_20"), reaching.train.rates, reaching.eval.rates)
    with h5py.File(path) as file:
        assert set(file) == {"mc_maze_20", "mc_rtt_20"}
        shapes = {name: values.shape for name, values in file["mc_maze_20"].items()}
        assert {values.dtype for values in file["mc_maze_20"].values()} == {np.dtype(np.float32)}
    assert shapes == {
        "train_rates_heldin": (96, 20, 8), "train_rates_heldout": (96, 20, 4),
        "eval_rates_heldin": (24, 20, 8), "eval_rates_heldout": (24, 20, 4),
        "eval_rates_heldin_forward": (24, 5, 8), "eval_rates_heldout_forward": (24, 5, 4),
    }  # fmt: skip


def test_bad_rates_write_nothing(reaching, tmp_path):
    path = tmp_path / "submission.h5"
    for spoil, sentence in ((np.nan, "NaN or infinite"), (-1.0, "negative")):
        rates = reaching.eval.rates.copy()
        rates[0, 0, 0] = spoil
        with pytest.raises(NeuralSDEError, match=sentence):
            write_submission(path, reaching, None, rates)
    with pytest.raises(NeuralSDEError, match="eval rates have shape"):
        write_submission(path, reaching, None, reaching.eval.rates[:, :20])
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(reaching, tmp_path, monkeypatch):
    path = tmp_path / "submission.h5"
    write_submission(path, reaching, None, reaching.eval.rates)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"submission.h5 cannot be written \(No space left on device\); free space or give"):
        write_submission(path, reaching, None, reaching.eval.rates)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_place_of_the_folder(reaching, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match=r"file/submission.h5 cannot be written \((File exists|Not a directory)\)"):
        write_submission(tmp_path / "file" / "submission.h5", reaching, None, reaching.eval.rates)


def test_a_foreign_file_is_not_overwritten(reaching, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(DataError, match=r"notes.txt cannot be written"):
        write_submission(path, reaching, None, reaching.eval.rates)
    assert path.read_text() == "mine"


def test_withheld_counts_give_no_targets(reaching, tmp_path):
    withheld = replace(reaching, eval=replace(reaching.eval, heldout=None))
    with pytest.raises(DataError, match=r"withheld.*use phase=val"):
        write_targets(tmp_path / "targets.h5", withheld)


def test_files_that_do_not_fit_are_refused_in_a_sentence(reaching, tmp_path):
    targets, made = tmp_path / "targets.h5", tmp_path / "submission.h5"
    with pytest.raises(DataError, match="There is no file"):
        evaluate(targets, made)
    write_targets(targets, reaching)
    write_submission(made, replace(reaching, name="other"), None, reaching.eval.rates)
    with pytest.raises(DataError, match=r"holds other, but .* mc_maze_20"):
        evaluate(targets, made)
    write_submission(made, reaching, None, reaching.eval.rates)
    with pytest.raises(DataError, match="lacks the data set 'train_rates_heldin'"):
        evaluate(targets, made)
