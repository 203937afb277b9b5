"""The shape checker that every test runs under: what it skips could not have failed."""

import pytest
import torch
from beartype import beartype
from jaxtyping import Float, TypeCheckError, jaxtyped
from torch import Tensor

from neuralsde.metrics import bits_per_spike
from tests.helpers import shapes


@jaxtyped(typechecker=shapes.checked)
def cut(x: Float[Tensor, "n"], y: Float[Tensor, "#n"], rest: list[int], size: int = 3) -> Float[Tensor, " {size}"]:
    return (x + y)[:3]


GOOD = (torch.zeros(4), torch.zeros(4), [1])


@pytest.mark.parametrize(
    "wrong",
    [
        (torch.zeros(4), torch.zeros(5), [1]),
        (torch.zeros(4), torch.zeros(4, dtype=torch.int64), [1]),
        (torch.zeros(4, 1), torch.zeros(4), [1]),
        (torch.zeros(4), torch.zeros(4), ["a"]),
        (torch.zeros(4), torch.zeros(4), (1,)),
        (torch.zeros(4), torch.zeros(4), [1], 2),
        (torch.zeros(2), torch.zeros(2), [1]),
    ],
    ids=["shape", "dtype", "dimensions", "entry", "type", "size", "result"],
)
def test_a_wrong_call_is_refused_after_right_ones(wrong):
    for _ in range(3):
        cut(*GOOD)
    for _ in range(2):
        with pytest.raises(TypeCheckError):
            cut(*wrong)


def test_calls_of_one_kind_are_looked_at_once(monkeypatch):
    looks = []

    def counted(function):
        strict = beartype(function)
        return lambda *args, **kwargs: (looks.append(args), strict(*args, **kwargs))[1]

    monkeypatch.setattr(shapes, "beartype", counted)

    @shapes.checked
    def double(x: Float[Tensor, "..."], pair: tuple[Float[Tensor, "..."], int]) -> None: ...

    for n in (2, 2, 3, 2):
        double(torch.zeros(n), (torch.zeros(n), 1))
    assert len(looks) == 2
    double(torch.zeros(2), (torch.zeros(3), 1))
    assert len(looks) == 3


def test_the_package_is_checked():
    with pytest.raises(TypeCheckError, match="bits_per_spike"):
        bits_per_spike("no array", "no array")
