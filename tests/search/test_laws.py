"""Laws of settings: draws follow the distribution, perturbations stay inside it, and a wrong law is refused by a sentence."""

import numpy as np
import pytest
from scipy import stats

from neuralsde.errors import ConfigError
from neuralsde.search.laws import LAWS

N, ALPHA = 2000, 1e-3
KEY = "search.space.optimizer.lr"


def law(name, value):
    return LAWS[name](value, KEY, name)


def drawn(name, value):
    rng = np.random.default_rng(0)
    return np.array([law(name, value).draw(rng) for _ in range(N)])


def test_uniform_and_loguniform_draws_pass_a_kolmogorov_smirnov_test_and_each_others_fail():
    laws = {"uniform": stats.uniform(0.001, 0.099), "loguniform": stats.loguniform(0.001, 0.1)}
    for name in laws:
        draws = drawn(name, [0.001, 0.1])
        p_values = {other: stats.kstest(draws, distribution.cdf).pvalue for other, distribution in laws.items()}
        assert {other for other, p in p_values.items() if p > ALPHA} == {name}


def test_integers_and_choices_are_drawn_equally_often_both_ends_included():
    for name, value in (("int", [2, 5]), ("choice", [2, 3, 4, 5])):
        values, counts = np.unique(drawn(name, value), return_counts=True)
        assert values.tolist() == [2, 3, 4, 5]
        assert stats.chisquare(counts).pvalue > ALPHA
    assert type(law("int", [2, 5]).draw(np.random.default_rng(0))) is int


@pytest.mark.parametrize(
    ("name", "value", "start", "reached"),
    [
        ("uniform", [0.1, 0.5], 0.3, {0.24, 0.36}),
        ("uniform", [0.1, 0.5], 0.45, {0.36, 0.5}),  # 0.54 is outside
        ("loguniform", [1e-3, 1e-2], 1.1e-3, {1e-3, 1.32e-3}),
        ("int", [1, 50], 10, {8, 12}),
        ("int", [1, 50], 1, {1, 2}),  # rounding alone would leave it at 1
        ("choice", [16, 32, 64], 32, {16, 64}),
        ("choice", [16, 32, 64], 64, {32, 64}),
    ],
)
def test_a_perturbed_value_is_a_neighbour_within_the_range(name, value, start, reached):
    rng = np.random.default_rng(0)
    assert {law(name, value).perturb(start, (0.8, 1.2), rng) for _ in range(50)} == reached


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("uniform", [0.5, 0.1], r"optimizer\.lr\.uniform is \[0\.5, 0\.1\]; give two numbers, the lower one first"),
        ("uniform", [0.1], "give two numbers"),
        ("uniform", 0.1, "give two numbers"),
        ("uniform", [0.0, float("inf")], "give two numbers"),
        ("uniform", ["a", "b"], "give two numbers"),
        ("loguniform", [0.0, 1.0], "give two numbers above 0"),
        ("int", [1.5, 3], "give two whole numbers"),
        ("int", [False, True], "give two whole numbers"),
        ("choice", [1], "give a list of at least two values"),
        ("choice", "abc", "give a list of at least two values"),
    ],
)
def test_a_law_that_is_none_is_refused(name, value, sentence):
    with pytest.raises(ConfigError, match=sentence):
        law(name, value)
