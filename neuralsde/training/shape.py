"""What a JSON file of a run has to look like, said by an example of the same shape."""

from collections.abc import Mapping
from typing import Any

NUMBER = (int, float)
"""Shape of a number, infinite ones and NaN among them."""
LARGEST = 1e300


ABSENT = object()
"""In place of what a name has to stand for and does not."""


class Names:
    """Shape of a mapping whose names are not known.

    Args:
        values: shape of what they name.
    """

    def __init__(self, values: Any):
        self.values = values


class Finite:
    """Shape of a number that is finite and not too large for a double."""


def fault_of(content: Any, shape: Any, where: str = "") -> str:
    """Where and how `content` differs from `shape`; empty where it does not.

    Args:
        content: what a file holds.
        shape: a type or several, `[shape]` of a list's items, `[shape, shape]` of a list of so many, `{name: shape}`
            (`"name?"` may be absent; others may be there
            too), `Names` or `Finite`.
        where: the place in the file, for the answer.
    """
    found = f"{where or 'it'} is {'missing' if content is ABSENT else repr(content)[:40]}, where {words_for(shape)} needed"
    match shape:
        case Names(values=values):
            items = [(content.get(name), values, name) for name in content] if isinstance(content, dict) else None
        case dict():
            items = named(content, shape) if isinstance(content, dict) else None
        case tuple():
            return "" if fits(content, shape) else found
        case [one]:
            items = [(item, one, str(i)) for i, item in enumerate(content)] if isinstance(content, list) else None
        case [_, *_]:
            alike = isinstance(content, list) and len(content) == len(shape)
            items = [(item, one, str(i)) for i, (item, one) in enumerate(zip(content, shape, strict=True))] if alike else None
        case _:
            return "" if fits(content, shape) else found
    if items is None:
        return found
    faults = (fault_of(item, one, f"{where}.{name}".strip(".")) for item, one, name in items)
    return next(filter(None, faults), "")


def named(content: Mapping[str, Any], shape: Mapping[str, Any]) -> list[tuple[Any, Any, str]]:
    """What the names of a shape stand for, without those that may be absent and are."""
    pairs = [(name.removesuffix("?"), one, name.endswith("?")) for name, one in shape.items()]
    return [(content.get(name, ABSENT), one, name) for name, one, optional in pairs if name in content or not optional]


def fits(content: Any, kinds: Any) -> bool:
    """Whether a single value is of one of the kinds; true and false are no numbers."""
    if isinstance(kinds, tuple):
        return any(fits(content, kind) for kind in kinds)
    if kinds is Finite:
        return type(content) in NUMBER and abs(content) < LARGEST
    return type(content) is kinds and (kinds is not int or abs(content) < LARGEST)


def words_for(shape: Any) -> str:
    """What a shape asks for."""
    if isinstance(shape, dict | Names):
        return "names with values are"
    if isinstance(shape, list):
        return "a list is"
    return "text is" if shape is str else "a number is"
