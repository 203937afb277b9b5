"""The sizes of the data that a model is made for, and what their kinds are called."""

from dataclasses import asdict
from math import isclose
from typing import Any

from neuralsde.datamodules.trials import DataSpec

KINDS = {"counts": "counts", "real": "real values", "binary": "binary values", "category": "class indices"}
UNSIZED = ("behavior_dim", "n_conditions")
"""Sizes of the data that no part of a model takes, so that another behaviour may be read beside the same spikes."""


def model_sizes(spec: DataSpec) -> dict[str, Any]:
    """The sizes that a model is made for."""
    return {key: value for key, value in asdict(spec).items() if key not in UNSIZED}


def other_sizes(before: DataSpec, now: DataSpec) -> tuple[str, str]:
    """Where the sizes that a model is made for differ: those of `before` and those of `now`, both empty where none do."""
    old, new = model_sizes(before), model_sizes(now)
    then, found = (", ".join(f"{k}={v}" for k, v in a.items() if not alike(b[k], v)) for a, b in ((old, new), (new, old)))
    return then, found


def alike(a: Any, b: Any) -> bool:
    """Whether two sizes are the same, times up to rounding."""
    return isclose(a, b, rel_tol=1e-9) if isinstance(a, float) and isinstance(b, float) else a == b
