"""The search space: read from the config, refused by a sentence, drawn as a function of seed and numbers."""

import re

import pytest

from neuralsde.errors import ConfigError
from neuralsde.search.space import read_space
from tests.helpers.tiny import composed

BARE = ["search=random", "search/space=optimizer", "data=lorenz", "run_dir=unused"]


def space(*words):
    return read_space(composed(*BARE, *words))


def test_the_command_line_changes_adds_and_takes_out_laws():
    found = space(
        "search.space.optimizer.lr.loguniform=[1e-5,1e-3]",
        "~search.space.optimizer.weight_decay",
        "+search.space.model.encoder.layers.choice=[1,2]",
        "+search.space.training.coordinated_dropout.keep_probability.uniform=[0.4,0.9]",
    )
    assert list(found.laws) == ["optimizer.lr", "model.encoder.layers", "training.coordinated_dropout.keep_probability"]
    assert found.laws["optimizer.lr"].extremes() == [1e-5, 1e-3]


def test_draws_are_a_function_of_seed_trial_and_attempt():
    first, again, other_seed = space(), space(), space("seed=1")
    assert first.drawn(3, 0) == again.drawn(3, 0)
    draws = [first.drawn(3, 0), first.drawn(4, 0), first.drawn(3, 1), other_seed.drawn(3, 0)]
    assert len({tuple(draw.values()) for draw in draws}) == len(draws)


def test_exploring_draws_anew_as_often_as_asked():
    found, factors = space(), (0.8, 1.25)
    old = {"optimizer.lr": 3e-3, "optimizer.weight_decay": 0.02}
    near = {round(old["optimizer.lr"] * factor, 6) for factor in factors}

    def share(resample):
        explored = [found.explored(old, trial, 1, factors, resample)["optimizer.lr"] for trial in range(400)]
        return sum(value not in near for value in explored) / len(explored)

    assert share(0.0) == 0
    assert share(1.0) > 0.98
    assert share(0.25) == pytest.approx(0.25, abs=6 * (0.25 * 0.75 / 400) ** 0.5)  # six standard errors


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["~search.space"], "search.space is empty; add a setting"),
        (["+search.space.optimizer.rate.uniform=[0.1,0.2]"], "optimizer.rate, which is no setting of this run; take it out"),
        (["+search.space.optimizer._target_.choice=[a,b]"], "which is no setting of this run"),
        (["+search.space.model.encoder.choice=[gru,mlp]"], "model.encoder, which is a group; give one of its settings"),
        (["+search.space.model.encoder.depth.size.int=[1,2]"], "model.encoder.depth.size, which is no setting"),
        (["+search.space.data.bin_width_s.choice=[0.01,0.02]"], "data.bin_width_s, which does not differ between trials"),
        (["+search.space.seed.int=[0,9]"], "seed, which does not differ between trials"),
        (["+search.space.training.steps.int=[100,200]"], "training.steps, but all trials train equally long"),
        (["+search.space.training.monitor.choice=[val/nll,val/elbo]"], "but trials are compared by it"),
        (["+search.space.optimizer.lr.choice=[0.1,0.2]"], "optimizer.lr has loguniform and choice; keep one law"),
        (["+search.space.optimizer.lr.low=0.1"], "but a law stands alone"),
        (["search.space.optimizer.lr=0.1"], "search.space.optimizer.lr is 0.1; give a law"),
    ],
)
def test_what_cannot_be_searched_is_refused(words, sentence):
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        space(*words)
