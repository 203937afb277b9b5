"""What a stranger's file may hold where settings are expected: plain values, not many, not deeply nested."""

from typing import Any

MOST_VALUES = 20_000
"""Values of a config; ours have some hundred. Lists that hold each other many times over count as often as they are met."""
DEEPEST = 32
"""Levels of a config; ours have eight."""
LEAVES = (str, int, float, bool, type(None))


def fault_of(config: Any) -> str:
    """Why a nested config is none of ours; empty where it is sound."""
    if not isinstance(config, dict):
        return f"holds a {type(config).__name__} where settings are needed"
    open_nodes: list[tuple[Any, int]] = [(config, 0)]
    met = 0
    while open_nodes:
        node, depth = open_nodes.pop()
        met += 1
        if met > MOST_VALUES or depth > DEEPEST:
            return f"holds more than {MOST_VALUES} settings, or more than {DEEPEST} levels of them"
        if reason := fault_of_one(node):
            return reason
        open_nodes += [(child, depth + 1) for child in children(node)]
    return ""


def fault_of_one(node: Any) -> str:
    """Why one value, or the names in one group, cannot stand in a config that has been resolved."""
    if type(node) is dict:
        strange = [key for key in node if type(key) is not str or "${" in key]
        return f"names a setting {strange[0]!r:.60}" if strange else ""
    if type(node) is list or type(node) in LEAVES:
        unresolved = type(node) is str and ("${" in node or node == "???")
        return f"holds {node[:60]!r}, which is still to be resolved" if unresolved else ""
    return f"holds a {type(node).__name__}, which is no setting"


def children(node: Any) -> list[Any]:
    """What a dictionary or list holds."""
    if type(node) is dict:
        return list(node.values())
    return node if type(node) is list else []
