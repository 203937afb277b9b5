"""The shape checker of the tests: beartype, which looks at calls of one kind once.

A solver's thousandth step is a call of the same kind as its first; a third of the time of the solvers' tests went into the
repetition. (jaxtyping's pytest plugin decorates every function of the package with `checked`.)
"""

import functools
from collections.abc import Callable, Hashable
from typing import Any

from beartype import beartype

OPEN = type, list, dict, set, frozenset  # of whose contents an annotation may ask; of a config it asks the type alone

MOST_KINDS = 500  # remembered of a function: one that is given a step's number sees a kind a step


@functools.cache
def arrays() -> tuple[type, ...]:
    """Loaded with the first call, so that the process that hands tests out stays light."""
    import numpy as np
    import torch

    return torch.Tensor, np.ndarray


def kind(value: Any) -> Hashable:
    """All that an annotation can ask of `value`: equal kinds pass the same checks. Lists and dictionaries have none."""
    if isinstance(value, arrays()):
        return type(value), value.dtype, value.shape
    if isinstance(value, (int, str)):  # a dimension, an entry of a Literal
        return type(value), value
    if isinstance(value, tuple):
        return type(value), *map(kind, value)
    return value if isinstance(value, OPEN) else type(value)


def checked(function: Callable) -> Callable:
    """`function` with its arguments checked by beartype, where none of their kinds have passed before."""
    if all(annotation is Any for annotation in function.__annotations__.values()):
        return function
    passed: set[Hashable] = set()

    @functools.cache
    def strict() -> Callable:  # most functions are never called in one process
        return beartype(function)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        kinds = (*map(kind, args), *kwargs, *map(kind, kwargs.values()))
        try:
            if kinds in passed:
                return
        except TypeError:  # a list or a dictionary, which may hold anything: looked at each time
            strict()(*args, **kwargs)
            return
        strict()(*args, **kwargs)
        if len(passed) < MOST_KINDS:
            passed.add(kinds)

    return call
