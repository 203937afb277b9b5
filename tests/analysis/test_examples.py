"""The worked analyses, on tiny runs; and, where the recording lies beside the checkout, what they say of real reaches."""

from pathlib import Path

import pytest

import neuralsde
from examples import decode_velocity, read_dynamics
from neuralsde.workflow import train
from tests.helpers.shared import shared_path
from tests.helpers.tiny import tiny_config

FRACTIONAL = next((Path(__file__).parents[1] / "data").glob("fractional-*.ckpt"))


@pytest.mark.slow  # the docs decode in the fast lane, and `test_decode.py` with each decoder
def test_velocity_is_decoded_four_ways_beside_smoothed_spikes(reaching, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("neuralsde.analysis.gru.MOST_EPOCHS", 3)
    monkeypatch.setattr(neuralsde, "load", lambda path: reaching)
    found = decode_velocity.main("a run", "hand_vel", str(tmp_path), n_samples=1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[1:]] == list(found)
    assert f"{found['rates'].scores['r2_variance_weighted']:.3f}" in lines[1]
    assert {path.name for path in tmp_path.iterdir()} == {"decoded.png", "hand.png"}
    # These reaches have but two directions and large gains, so that even smoothed spikes say where the hand goes.
    assert found["rates"].compared.scores["r2_variance_weighted"] > 0.2


def test_a_hurst_index_and_a_flow_field_are_read(capsys):
    found = read_dynamics.main(str(FRACTIONAL), seeds=10, n_samples=1)
    said = capsys.readouterr().out
    model = neuralsde.load(FRACTIONAL).module.model.dynamics
    assert f"hurst: {model.learned()['hurst'][0]:.3f}" in said
    assert found.flow is not None


@pytest.mark.slow
def test_rates_of_real_reaches_tell_the_velocity_far_better_than_smoothed_spikes(tmp_path, capsys):
    words = ["data=reach8", f"data.path={shared_path('data/neural/reach8')}", f"data.cache={tmp_path / 'cache'}"]
    train(tiny_config(tmp_path / "run", *words, "predict.n_samples=16", "trainer.max_epochs=60", "training.baselines=false"))
    found = decode_velocity.main(str(tmp_path / "run"), "hand_vel")
    rates = found["rates"]
    assert rates.scores["r2_variance_weighted"] > 0.8
    assert rates.scores["r2_variance_weighted"] > rates.compared.scores["r2_variance_weighted"] + 0.2
    assert found["GRU on rates"].scores["r2_variance_weighted"] > rates.scores["r2_variance_weighted"]
    dynamics = read_dynamics.main(str(tmp_path / "run"))
    assert [point.kind for point in dynamics.fixed_points] == ["stable"]
    assert "friction" in capsys.readouterr().out
