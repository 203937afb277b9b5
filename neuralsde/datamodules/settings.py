"""Settings of a recording, held in a dataclass: types are checked, lists become tuples, errors name the key."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from numbers import Integral, Real
from typing import Any, TypeVar

from neuralsde.errors import ConfigError

Settings = TypeVar("Settings")


def is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


KINDS: dict[Any, tuple[Callable[[Any], bool], str]] = {
    int: (is_whole, "a whole number"),
    float: (is_number, "a number"),
    int | None: (lambda v: v is None or is_whole(v), "a whole number, or null"),
    float | None: (lambda v: v is None or is_number(v), "a number, or null"),
    bool: (lambda v: isinstance(v, bool), "true or false"),
    str: (is_text, "a name"),
    str | None: (lambda v: v is None or isinstance(v, str), "a name, or null"),
    tuple[int, int]: (lambda v: is_list(v) and len(v) == 2 and all(map(is_whole, v)), "[from, to] in whole ms"),
    tuple[float, float, float]: (
        lambda v: is_list(v) and len(v) == 3 and all(map(is_number, v)),
        "three numbers, such as [0.7, 0.15, 0.15]",
    ),
    Sequence[str]: (lambda v: is_list(v) and all(map(is_text, v)), "a list of names, such as [rt]"),
    Sequence[str | int] | None: (
        lambda v: v is None or (is_list(v) and len(v) > 0 and all(is_text(x) or is_whole(x) for x in v)),
        "a list of names or numbers, such as [x,y], or null for all",
    ),
    Mapping[str, Any] | None: (
        lambda v: v is None or isinstance(v, Mapping),
        "{column: value} or {column: [values]}, such as {result: R}, or null",
    ),
    int | Sequence[int] | None: (
        lambda v: v is None or is_whole(v) or (is_list(v) and all(map(is_whole, v))),
        "a whole number, a list of them, or null",
    ),
    Mapping[str, Sequence[int]] | None: (
        lambda v: v is None or (isinstance(v, Mapping) and all(is_list(x) and x and all(map(is_whole, x)) for x in v.values())),
        "{name: [numbers]}, such as {hand_vel: [0, 1]}, or null",
    ),
    Mapping[str, str | float] | None: (
        lambda v: v is None or (isinstance(v, Mapping) and all(is_text(x) or is_number(x) for x in v.values())),
        "{array: name, above: number}, or null",
    ),
}
"""What each type of setting may hold, and how to say so."""


def from_settings(cls: type[Settings], settings: Mapping[str, Any], what: str) -> Settings:
    """A dataclass of settings from a config's keys, whose lists become tuples.

    Args:
        cls: the dataclass; `KINDS` holds the type of each of its fields.
        settings: values by key.
        what: what they are settings of, for the error's sentence.

    Raises:
        ConfigError: a key is unknown, or a value impossible.
    """
    kinds: dict[str, Any] = {f.name: f.type for f in fields(cls)}  # pyright: ignore[reportArgumentType]
    unknown = sorted(settings.keys() - kinds.keys())
    if unknown:
        raise ConfigError(f"data.{unknown[0]} is no setting of {what}.")
    given = {key: converted(plain(value), kinds[key]) for key, value in settings.items()}
    for key, value in given.items():
        fits, wanted = KINDS[kinds[key]]
        if not fits(value):
            raise ConfigError(f"data.{key} is {shown(value)}; give {wanted}.")
    return cls(**given)


def shown(value: Any) -> str:
    """A value as the command line would take it."""
    if value is None:
        return "null"
    return str(list(value) if isinstance(value, tuple) else value)


def converted(value: Any, kind: Any) -> Any:
    """Numbers as the kind of setting wants them, 50 as 50.0 and 160.0 as 160; all else as it is, to be refused later."""
    if kind == tuple[int, int] and isinstance(value, tuple):
        return tuple(converted(v, int) for v in value)
    if kind == tuple[float, float, float] and isinstance(value, tuple):
        return tuple(converted(v, float) for v in value)
    if kind in (float, float | None) and is_number(value):
        return float(value)
    return int(value) if kind in (int, int | None) and is_number(value) and value == int(value) else value


def plain(value: Any) -> Any:
    """Lists and mappings of a config as tuples and dicts."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(plain(v) for v in value)
    return value
