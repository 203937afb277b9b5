"""What a table of classified series comes to: averages over sets, and how far our default is ahead of the published form."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

import numpy as np

MODELS = ("ours", "paper", "minirocket")
MARGIN = 0.1
"""Accuracy that our default is to be ahead by; where MiniRocket itself is less far ahead of the published form, its lead."""


def set_means(runs: Iterable[dict], key: str = "missing_rate") -> dict[tuple[float, str], dict[str, float]]:
    """Accuracy by (rate, set) and model, each over the seeds that all models of that row have in common."""
    found: dict = defaultdict(lambda: defaultdict(dict))
    for run in runs:
        if "seed" in run:
            found[run[key], run["set"]][run["model"]][run["seed"]] = run["accuracy"]
    means = {}
    for row, models in found.items():
        shared = set.intersection(*(set(seeds) for seeds in models.values()))
        if shared:
            means[row] = {model: float(np.mean([seeds[s] for s in shared])) for model, seeds in models.items()}
    return means


def claims(runs: Iterable[dict]) -> Iterator[dict[str, object]]:
    """Per rate, over the sets that have all three models: averages, the lead over the published form with and without what is
    above MiniRocket, and how far MiniRocket is ahead of our default set by set (negative where it is behind)."""
    means = {row: m for row, m in set_means(runs).items() if set(MODELS) <= set(m)}
    for rate in sorted({rate for rate, _ in means}):
        rows = {name: m for (r, name), m in means.items() if r == rate}
        ours, paper, rocket = (np.array([m[model] for m in rows.values()]) for model in MODELS)
        lead, asked = (np.minimum(ours, rocket) - paper).mean(), min(MARGIN, (rocket - paper).mean())
        yield {
            "table": "ucr",
            "missing_rate": rate,
            "sets": len(rows),
            **{model: round(float(v.mean()), 4) for model, v in zip(MODELS, (ours, paper, rocket), strict=True)},
            "lead": round(float((ours - paper).mean()), 4),
            "lead_capped": round(float(lead), 4),
            "asked": round(float(asked), 4),
            "met": bool(lead >= asked),
            "behind_minirocket": {name: round(m["minirocket"] - m["ours"], 3) for name, m in rows.items()},
        }
