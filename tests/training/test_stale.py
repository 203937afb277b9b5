import pytest

from neuralsde.errors import ConfigError
from neuralsde.training.stale import StopStale
from neuralsde.workflow import train
from tests.helpers.tiny import composed, tiny_config


def stops_in(scores, monitor="val/nll", **settings):
    """The epoch in which a run of these scores stops; None where it does not."""
    stale = StopStale(monitor, **settings)
    for epoch, score in enumerate(scores):
        again = StopStale(monitor, **settings)
        again.load_state_dict(stale.state_dict())  # a run that is gone on with counts on
        if again.is_stale(score, epoch):
            return epoch
        stale = again
    return None


def test_a_run_stops_after_more_validations_without_a_new_best_than_are_put_up_with():
    assert stops_in([3.0, 2.0, 2.5, 2.5, 2.0, 1.0], patience=2) == 4
    assert stops_in([3.0, 2.0, 2.5, 2.5, 1.9, 1.0], patience=2) is None
    assert stops_in([3.0, 2.0, 2.5, 2.5, 2.0, 2.0, 2.0], patience=2, after=4) == 5
    assert stops_in([1.0, 2.0, 3.0, 4.0], "val/co_bps", patience=0) is None
    assert stops_in([1.0, 2.0, 2.0, 4.0], "val/co_bps", patience=0) == 2


def test_an_impossible_patience_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"training\.stop_stale is .*; give a mapping such as"):
        train(tiny_config(tmp_path, "training.stop_stale={patience: -1, after: 0}"))


def test_models_of_a_table_stop_by_themselves():
    """A small table is learned by heart long before the default's last step."""
    table = composed("model=neural_lsde", "data=csv", "data.reader.path=mine.csv").training
    assert table.stop_stale == {"patience": 20, "after": 20}
    assert composed("model=neural_lsde", "data=csv", "training.stop_stale=null").training.stop_stale is None
    assert composed("model=neural_lsde", "data=ucr").training == {**table, "stop_stale": None}
    assert composed("experiment=stable_sde/forecast").training == {**table, "steps": 400}
