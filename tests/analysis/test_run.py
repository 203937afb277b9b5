"""What a run says where its data are not what they were."""

from dataclasses import replace

import pytest

from neuralsde.errors import CheckpointError, ConfigError, DataError


def test_data_that_have_moved_say_how_to_name_their_new_place(reaching, tmp_path):
    with pytest.raises(DataError, match=r"there is no such file or folder; .*load\(…, data=\{'path': …\}\)"):
        _ = reaching.with_data(path=str(tmp_path / "gone")).data


def test_other_units_are_named_with_their_number(reaching):
    spec = replace(reaching.module.spec, observed_dim=5)
    other = replace(reaching, config=reaching.config)
    other.module.spec, kept = spec, reaching.module.spec
    try:
        with pytest.raises(CheckpointError, match="was trained on observed_dim=5, but its data now read as observed_dim=8"):
            _ = other.datamodule
    finally:
        other.module.spec = kept


def test_another_behaviour_is_no_other_data(reaching):
    silent = reaching.with_data(behavior=None)
    assert silent.data.behavior_kind == ""
    assert silent.data.spec.behavior_dim == 0
    with pytest.raises(DataError, match="has no behaviour for its training trials"):
        silent.decode()
    assert reaching.config.data.behavior == "hand_vel"


def test_a_split_is_named(reaching):
    assert len(reaching.split("train")) == 24
    assert reaching.predict("train", n_samples=1).axes.condition_names == reaching.data.condition_names
    with pytest.raises(ConfigError, match=r"no split 'spring' of mc_maze_50; choose one of train, eval"):
        reaching.split("spring")
