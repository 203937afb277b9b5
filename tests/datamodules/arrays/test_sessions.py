"""Several recordings as one: every count where its session has it, nothing anywhere else."""

import json

import numpy as np
import pytest

import neuralsde
from neuralsde.datamodules.arrays import ArrayData
from neuralsde.datamodules.batches import stack_targets
from neuralsde.datamodules.sessions import SessionsData
from neuralsde.errors import ConfigError, DataError
from neuralsde.evaluation.baselines import baseline_table
from neuralsde.evaluation.scores import score
from neuralsde.workflow import train
from tests.helpers.tiny import FAST, composed


@pytest.fixture
def parts(trials, rng):
    """Two sessions: 9 units in trials of up to 12 bins, and 5 in up to 7, some of which were left out of the file."""
    first, arrays = trials(behavior=["hand_vel"], condition="direction", heldout=[2, 5])
    steps = np.cumsum(rng.integers(1, 3, (40, 7)), axis=1)
    shorter = {"spikes": arrays["spikes"][:, :7, :5], "hand_vel": arrays["hand_vel"][:, :7], "timestep": steps}
    second, _ = trials(
        {**shorter, "length": np.minimum(arrays["length"], 7)}, ending="h5", behavior=["hand_vel"], condition="direction",
        heldout_every=3, timestep="timestep",
    )  # fmt: skip
    return {"one": first, "two": second}


def test_each_trial_holds_the_units_of_its_session_and_no_others(parts):
    whole = SessionsData("both", parts, batch_size=8)
    data, spec = whole.data, whole.spec
    one, two = (part.data for part in parts.values())
    assert (spec.observed_dim, spec.target_dim) == (7 + 4, 9 + 5)
    assert (spec.observed_bins, spec.n_conditions, spec.behavior_dim) == (12, 6, 2)
    assert data.condition_names[0] == "one direction=0"
    assert data.condition_names[-1] == "two direction=2"
    for split in ("train", "eval"):
        mine, (a, b) = getattr(data, split), (getattr(part, split) for part in (one, two))
        np.testing.assert_array_equal(mine.condition, np.concatenate([a.condition, b.condition + 3]))
        targets = stack_targets(mine, spec)
        for session, own, rows in (("one", a, slice(0, len(a))), ("two", b, slice(len(a), None))):
            alone, units = stack_targets(own, parts[session].spec), data.sessions[session].units
            np.testing.assert_array_equal(targets[rows][:, : alone.shape[1], units], alone)
            assert np.isnan(targets[rows][:, alone.shape[1] :]).all()
            assert np.isnan(np.delete(targets[rows], units, axis=2)).all()
            np.testing.assert_array_equal(mine.behavior[rows, : own.behavior.shape[1]], own.behavior)
        assert (np.diff(mine.times, axis=1) > 0).all()
        np.testing.assert_array_equal(mine.times[len(a) :, :7], b.times)
    assert len(whole.files()) == 2


def test_one_of_them_keeps_its_place_among_the_units_of_all(parts, rng):
    whole, one = (SessionsData("both", parts, batch_size=8, only=only) for only in (None, "two"))
    assert one.spec == whole.spec  # so that a model of all goes on with it
    assert list(one.data.sessions) == list(one.data.extra) == ["two"]
    at = whole.data.sessions["two"]
    for split, first in (("train", at.first_train), ("eval", at.first_eval)):
        mine, all_ = getattr(one.data, split), getattr(whole.data, split)
        assert 0 < len(mine) == len(all_) - first < len(all_)
        np.testing.assert_array_equal(stack_targets(mine, one.spec), stack_targets(all_, whole.spec)[first:])
        for key in ("heldin", "times", "condition", "behavior", "trial_id"):
            np.testing.assert_array_equal(getattr(mine, key), getattr(all_, key)[first:])
    rates = rng.gamma(4.0, 0.5, (len(whole.data.eval), 12, 14))
    extra = {name: rates[s.first_eval :][: len(s.data.eval)] for name, s in whole.data.sessions.items()}
    both, alone = score(whole.data, None, rates, extra), score(one.data, None, extra["two"], {"two": extra["two"]})
    assert alone["two/co_bps"] == pytest.approx(both["two/co_bps"])
    assert "one/co_bps" in both
    assert "one/co_bps" not in alone
    with pytest.raises(ConfigError, match=r"data\.only is three; give one of one, two, or null"):
        SessionsData("both", parts, batch_size=8, only="three")


def test_an_error_of_a_session_names_its_own_settings(parts, trials, tmp_path):
    away = trials(ending="hdf5", heldout=[3, 40])[0]
    with pytest.raises(ConfigError, match=r"^data\.sessions\.two\.heldout names unit 40"):
        SessionsData("both", {"one": parts["one"], "two": away}, batch_size=8).read()
    nowhere = ArrayData(tmp_path / "data.npz")
    with pytest.raises(DataError, match=r"/data\.npz: there is no such file; give data\.sessions\.two\.path=FILE"):
        SessionsData("both", {"one": parts["one"], "two": nowhere}, batch_size=8).read()


def test_each_session_is_scored_as_by_itself_beside_its_own_baselines(parts, rng):
    data = SessionsData("both", parts, batch_size=8).data
    rates = rng.gamma(4.0, 0.5, (len(data.eval), 12, 14))
    extra = {name: rates[session.first_eval :][: len(session.data.eval)] for name, session in data.sessions.items()}
    scores, table = score(data, None, rates, extra), baseline_table(data)
    for name, session in data.sessions.items():
        own = rates[session.first_eval :][: len(session.data.eval), : session.data.spec.observed_bins][..., session.units]
        assert scores[f"{name}/co_bps"] == pytest.approx(score(session.data, None, own)["co_bps"])
        alone = baseline_table(session.data)
        for baseline in ("smoothing", "condition_psth"):
            assert table[baseline][f"{name}/co_bps"] == pytest.approx(alone[baseline]["co_bps"])


def test_sessions_that_do_not_fit_are_told_apart(parts, trials):
    other = trials({"bin_ms": np.array(20)}, ending="hdf5", heldout_every=3)[0]
    with pytest.raises(ConfigError, match=r"one bins of 0\.05 s, other bins of 0\.02 s; one model needs the same in all"):
        SessionsData("both", {"one": parts["one"], "other": other}, batch_size=8).read()
    real = trials(ending="hdf5", kind="real")[0]
    with pytest.raises(ConfigError, match=r"data\.sessions\.real holds real values; only spike counts are joined"):
        SessionsData("both", {"real": real}, batch_size=8).read()
    with pytest.raises(ConfigError, match=r"data\.sessions\.one\.phase is val, but data\.phase is test"):
        SessionsData("both", parts, batch_size=8, phase="test")
    ahead = [trials(ending=end, observed_bins=n, forward_bins=2)[0] for end, n in (("npz", 4), ("hdf5", 6))]
    with pytest.raises(
        ConfigError, match=r"one 4, two 6 observed bins, after which forward bins would stand at different times"
    ):
        SessionsData("both", dict(zip(("one", "two"), ahead, strict=True)), batch_size=8).read()
    with pytest.raises(ConfigError, match=r"data\.sessions is empty"):
        SessionsData("none", {}, batch_size=8).read()


def test_one_model_trains_on_all_and_is_scored_on_each(parts, tmp_path):
    files = {name: part.files()[0] for name, part in parts.items()}
    words = ["data=miller", "~data.sessions.mihi_0303", f"data.sessions.chewie_1003.path={files['one']}"]
    words += [f"data.sessions.chewie_1219.path={files['two']}", "model.dynamics.substeps=8"]
    train(composed(*words, *FAST, "model.encoder.hidden_size=8", f"run_dir={tmp_path / 'run'}", "training.baselines=false"))
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert all(np.isfinite(scores[name]) for name in ("co_bps", "chewie_1003/co_bps", "chewie_1219/co_bps"))


def test_a_model_of_all_goes_on_with_one_and_leaves_the_others_read_in_alone(parts, tmp_path):
    files = {name: part.files()[0] for name, part in parts.items()}
    words = ["~data.sessions.mihi_0303", f"data.sessions.chewie_1003.path={files['one']}", *FAST]
    words += [f"data.sessions.chewie_1219.path={files['two']}", "training.baselines=false", "optimizer.weight_decay=0"]
    sizes = ["model.encoder.hidden_size=8", "model.dynamics.substeps=8"]
    train(composed("experiment=langevinflow/miller", *words, *sizes, f"run_dir={tmp_path / 'all'}"))
    more = [
        f"init_from={tmp_path / 'all' / 'checkpoints' / 'last.ckpt'}",
        "data.only=chewie_1219",
        f"run_dir={tmp_path / 'one'}",
    ]
    train(composed("experiment=langevinflow/miller_tuned", *words, *more))
    last = [tmp_path / run / "checkpoints" / "last.ckpt" for run in ("all", "one")]
    before, after = (neuralsde.load(path).module.model.state_dict() for path in last)
    (name,) = [name for name, weight in before.items() if weight.ndim == 2 and weight.shape[1] == 7 + 4]
    moved = (before[name] != after[name]).any(0)
    assert not moved[:7].any()
    assert moved[7:].all()
    assert (before["centre"] == after["centre"]).all()
    assert (before["centre"] > 0).any()
