"""The score table: the model beside its baselines, what is better, and what each score says."""

import math
from typing import Any, NamedTuple

from neuralsde.evaluation.glossary import DETAILS, SCORES, Score, score_named

MODEL = "this model"


class Cell(NamedTuple):
    """One value.

    Args:
        row: whose it is: the model's or a baseline's.
        value: NaN where the score could not be computed, None where it does not apply.
        best: whether no other is better; of one alone it is not said.
        place: where it lies between the worst (0) and the best (100) of its line; None where it is not finite, or alone.
    """

    row: str
    value: float | None
    best: bool
    place: float | None


class Line(NamedTuple):
    """One score.

    Args:
        key: as in `scores.json`.
        score: what it is.
        cells: the model's, then the baselines'.
    """

    key: str
    score: Score
    cells: list[Cell]


def score_tables(content: dict[str, Any]) -> dict[str, list[Line]]:
    """Lines of each split, evaluation trials first (under an empty name), from what `scores.json` holds."""
    scores = {key: value for key, value in content.items() if isinstance(value, int | float)}
    rows = {MODEL: scores, **content.get("baselines", {})}
    splits: dict[str, list[str]] = {"": []}
    for key in scores:
        split, _, name = key.rpartition("/")
        splits.setdefault(split, []).append(name)
    order = {key: i for i, key in enumerate(SCORES)}
    return {
        split: [
            line(f"{split}/{name}" if split else name, name, rows) for name in sorted(names, key=lambda n: order.get(n, 99))
        ]
        for split, names in splits.items()
        if names
    }


BY_CHANNEL = ("rmse", "crps", "nll", "coverage_90")


def channel_tables(content: dict[str, Any]) -> dict[str, list[Line]]:
    """By name of a score a line for each channel, whose key is the channel's name, from what `scores.json` holds."""
    channels = content.get("channels", {})
    lines = {
        key: [
            line(name, key, {row: {name: found[key]} for row, found in rows.items() if key in found})
            for name, rows in channels.items()
            if any(key in found for found in rows.values())
        ]
        for key in BY_CHANNEL
    }
    return {f"{score_named(key).name} by channel": own for key, own in lines.items() if own}


def line(key: str, name: str, rows: dict[str, dict[str, float]]) -> Line:
    """One score of the model and its baselines."""
    score = score_named(name)
    values = {row: scores.get(key) for row, scores in rows.items()}
    merits = [score.merit(v) for v in values.values() if v is not None and math.isfinite(v)]
    ends = (min(merits), max(merits)) if len(merits) > 1 else None
    return Line(key, score, [cell(row, value, score, ends) for row, value in values.items()])


def cell(row: str, value: float | None, score: Score, ends: tuple[float, float] | None) -> Cell:
    """A value between the worst and the best of its line, where there are others to compare it with."""
    name = row.replace("_", " ").replace("psth", "PSTH")
    if ends is None or value is None or not math.isfinite(value):
        return Cell(name, value, False, None)
    (worst, best), merit = ends, score.merit(value)
    place = 100.0 if best == worst else 100 * (merit - worst) / (best - worst)
    return Cell(name, value, merit == best, place)


def headline(tables: dict[str, list[Line]]) -> Line | None:
    """The main score of the evaluation trials: in the glossary's order the first that a baseline has too, else the first."""
    lines = [line for line in tables.get("", []) if line.key not in DETAILS]
    compared = [line for line in lines if any(c.value is not None for c in line.cells[1:])]
    return next(iter(compared or lines), None)


def verdict(main: Line) -> tuple[str, bool | None]:
    """How the model stands against the best baseline, in a sentence, and whether it wins (None where that is not known)."""
    model, *others = main.cells
    finite = [c for c in others if c.value is not None and math.isfinite(c.value)]
    if model.value is None or not math.isfinite(model.value):
        return f"{main.score.name} could not be computed.", None
    if not finite:
        return f"{main.score.name} is {model.value:.4f}; no baseline has it.", None
    rival = max(finite, key=lambda c: main.score.merit(c.value or 0.0))
    gain = main.score.merit(model.value) - main.score.merit(rival.value or 0.0)
    word = "better than" if gain > 0 else "no better than"
    return (
        f"{main.score.name} is {model.value:.4f}, {word} the best baseline ({rival.row}, {rival.value:.4f}).",
        gain > 0,
    )
