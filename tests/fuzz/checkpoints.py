"""Valid checkpoints that hold what no run writes, and pickles that would run something."""

import copy
import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from numpy.random import Generator

from tests.fuzz.archives import ARCHIVE_MUTATIONS, packed, unpacked

SENTINEL = "executed"
"""The file that a pickle makes in the folder it runs in, if anything runs it."""
TARGETS = [
    "os.system", "evil_module.Evil", "builtins.eval", "neuralsde.load", "neuralsde.workflow.train",
    "neuralsde.files.write_whole",
    "neuralsde.workflow.os.system", "neuralsde.datamodules.lorenz.LorenzData.load_from_checkpoint", "functools.partial",
    "neuralsde.evaluation.extras.needed", "neuralsde.datamodules.nwb.download.download", "torch.load",
    "neuralsde.__main__.main",
    "neuralsde.nn.mlp.MLP.__init__", "torch.optim.swa_utils.AveragedModel", "", ".", "neuralsde.", "neuralsde..nn",
    "neuralsde.sde",
    "neuralsde.noise.Brownian", "neuralsde.nn.encoders.GRUEncoder", "neuralsde.sde.Neural", "neuralsde.models.LatentModel",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, -1, 0, 1, 2, 10**6, 10**9, 10**12, 10**30, 1.5, float("nan"), float("inf"), "", "x", "${oc.env:HOME}",
    "${oc.create:{_target_: os.system, _args_: [id]}}", "???", "a" * 10_000, [], {}, [1, 2], ({"_target_": "os.system"},),
    OrderedDict(a=1), b"bytes", {1: 2}, {"_target_": "os.system", "_args_": ["id"]}, {"_partial_": True}, torch.ones(2),
    torch.Size([3]), 1j, {"_target_": ["os.system"]}, [[[[[[]]]]]], torch.float16,
]  # fmt: skip


class Evil:
    """What a pickle makes run: the making of a file."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path(SENTINEL),)


def saved(checkpoint: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    return buffer.getvalue()


def places(node: Any) -> list[tuple[Any, Any]]:
    """Every place of a nested value, as what holds it and its key."""
    found: list[tuple[Any, Any]] = []
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in pairs:
        found += [(node, key), *places(value)]
    return found


def other_value(content: bytes, rng: Generator) -> bytes:
    """One to three values of the record, or anything at the top, replaced, left out or wrapped."""
    checkpoint = torch.load(io.BytesIO(content), weights_only=True)
    for _ in range(rng.integers(1, 4)):
        part = checkpoint["neuralsde"] if "neuralsde" in checkpoint and rng.random() < 0.85 else checkpoint
        if spots := places(part):
            replace(*spots[rng.integers(len(spots))], rng)
    return saved(checkpoint)


def replace(holder: Any, key: Any, rng: Generator) -> None:
    """Another value in one place."""
    what, old = rng.random(), holder[key]
    if key == "_target_":
        holder[key] = TARGETS[rng.integers(len(TARGETS))]
    elif what < 0.15:
        del holder[key]
    elif what < 0.3 and type(old) in (int, float):
        holder[key] = type(old)(old * float(rng.choice([-1, 0, 2, 1e3, 1e6])))
    elif what < 0.35:
        holder[key] = [old]
    else:
        holder[key] = VALUES[rng.integers(len(VALUES))]


def other_weights(content: bytes, rng: Generator) -> bytes:
    """One weight of another shape, type, layout or place."""
    checkpoint = torch.load(io.BytesIO(content), weights_only=True)
    weights = checkpoint["state_dict"]
    name = list(weights)[rng.integers(len(weights))]
    w = weights[name]
    others = [
        lambda: w.to(torch.float64), lambda: w.to(torch.complex64), lambda: w[None], lambda: w.flatten(),
        lambda: w * float("nan"),
        lambda: torch.zeros(1).expand(10**12), lambda: w.to_sparse() if w.ndim else w, lambda: torch.empty_like(w,
        device="meta"),
        lambda: torch.nn.Parameter(w) if w.is_floating_point() else w, lambda: "text", lambda: None, lambda: w.to(torch.int8),
        lambda: torch.zeros(0),
    ]  # fmt: skip
    weights[name] = others[rng.integers(len(others))]()
    return saved(checkpoint)


def growing(content: bytes, rng: Generator) -> bytes:
    """Lists that hold each other many times over, or very deep ones, in the record."""
    checkpoint = torch.load(io.BytesIO(content), weights_only=True)
    node: Any = [1]
    for _ in range(int(rng.choice([8, 30, 300]))):
        node = [node] * int(rng.choice([1, 10]))
    checkpoint["neuralsde"]["config"][rng.choice(["model", "extra"])] = node
    try:
        return saved(checkpoint)
    except RecursionError:
        return content


def executing(content: bytes, rng: Generator) -> bytes:
    """A pickle that makes a file when it is loaded without care."""
    checkpoint = copy.copy(torch.load(io.BytesIO(content), weights_only=True))
    if rng.random() < 0.3:
        return pickle.dumps(Evil())
    if rng.random() < 0.3:
        members = unpacked(content)
        name = next(name for name in members if name.endswith("data.pkl"))
        return packed({**members, name: pickle.dumps(Evil(), protocol=2)})
    checkpoint[rng.choice(["neuralsde", "epoch", "callbacks"])] = Evil()
    return saved(checkpoint)


MUTATIONS = (other_value, other_value, other_value, other_value, other_weights, growing, executing, *ARCHIVE_MUTATIONS)
