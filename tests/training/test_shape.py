"""Shapes of JSON files."""

import pytest

from neuralsde.training.shape import NUMBER, Finite, Names, fault_of

SHAPE = {"a": str, "b?": [{"x": (Finite, type(None))}], "c?": [int, int], "d?": Names(NUMBER)}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ({"a": "text"}, ""),
        ({"a": "text", "b": [{"x": None}, {"x": 1.5}], "c": [1, 2], "d": {"any": float("nan")}, "more": []}, ""),
        ({}, "a is missing, where text is needed"),
        ({"a": 1}, "a is 1, where text is needed"),
        ({"a": "", "b": [{}]}, "b.0.x is missing"),
        ({"a": "", "b": [{"x": float("inf")}]}, "b.0.x is inf"),
        ({"a": "", "b": {}}, "b is {}, where a list is needed"),
        ({"a": "", "c": [1]}, "c is"),
        ({"a": "", "c": [1, 10**400]}, "c.1 is 1000"),
        ({"a": "", "c": [1, True]}, "c.1 is True"),
        ({"a": "", "d": {"any": "1"}}, "d.any is '1', where a number is needed"),
        ([], "it is [], where names with values are needed"),
    ],
)
def test_the_first_place_that_differs_is_told(content, fault):
    found = fault_of(content, SHAPE)
    assert found.startswith(fault)
    assert bool(found) == bool(fault)
