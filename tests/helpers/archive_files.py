"""Small sets of classified series written in each format of the UCR and UEA archives."""

import gzip
from pathlib import Path

import numpy as np


def random_cases(n: int, n_channels: int, length: int, seed: int, ragged: bool = False) -> list[tuple[np.ndarray, str]]:
    """Series (row, channel), rounded to what the text will hold, with labels `a` and `b` in turn."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(length // 2, length + 1, n) if ragged else np.full(n, length)
    return [(rng.normal(size=(m, n_channels)).round(4), "ab"[k % 2]) for k, m in enumerate(lengths)]


def joined(values: np.ndarray) -> str:
    return ",".join("?" if np.isnan(v) else repr(float(v)) for v in values)


def ts_text(cases: list[tuple[np.ndarray, str]], **header: str) -> str:
    lengths = {len(x) for x, _ in cases}
    stated = {
        "problemName": "Tiny", "timeStamps": "false", "missing": "false", "univariate": "false",
        "dimensions": str(cases[0][0].shape[1]), "equalLength": str(len(lengths) == 1).lower(), "classLabel": "true a b",
    } | header  # fmt: skip
    lines = ["#A comment by François", "", *(f"@{k} {v}" for k, v in stated.items()), "@data"]
    return "\n".join([*lines, *(":".join([*map(joined, x.T), label]) for x, label in cases)]) + "\n"


def tsv_text(cases: list[tuple[np.ndarray, str]]) -> str:
    longest = max(len(x) for x, _ in cases)
    rows = [[label, *map(repr, x[:, 0].tolist()), *["NaN"] * (longest - len(x))] for x, label in cases]
    return "\n".join("\t".join(row) for row in rows) + "\n"


def arff_text(cases: list[tuple[np.ndarray, str]]) -> str:
    one = cases[0][0].shape[1] == 1
    rows = [f"{joined(x[:, 0])},{y}" if one else "'" + "\\n".join(map(joined, x.T)) + f"',{y}" for x, y in cases]
    return "\n".join(["%a comment", "@relation Tiny", "@attribute target {a,b}", "", "@data", *rows]) + "\n"


def libras_text(cases: list[tuple[np.ndarray, str]]) -> str:
    return "\n".join(["classLast,8,2,comma", *(f"{joined(x.ravel())},{y}" for x, y in cases)]) + "\n"


def write_text(path: Path, text: str, encoding: str = "utf-8") -> Path:
    """Write a text, compressed where the name ends in .gz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = text.encode(encoding)
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path
