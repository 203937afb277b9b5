"""Error of Markov-approximate fractional Brownian motion: `python -m benchmarks.fractional_error [--search]`.

The relative mean squared error over [0, 1] of the best weights, for both types and H = .1 ... .9, on four sets of rates:
the released grid (5 rates from 1/20 to 20), 5 rates from a range chosen for the H, and 5 and up to 12 rates from one range
per type, which does not move with H. Prints one JSON object per type and H, and the same as a table; "gain" is the
released error over the new one, "weight" the largest magnitude for unit variance, "condition" that of A with unit diagonal.

`--search` repeats the search for the ranges that `neuralsde/noise/fractional_weights.py` holds, and prints them.
One range per type: the largest ratio, over H = .1 ... .9 without .5, of the error to the released grid's is least.
A range per H: the error is least, along one branch of optima from H = .4 down and another from .95 down, so that between
neighbours interpolation makes sense. Both under three limits: weights below 3000 (paths run in float32), condition numbers
below 1e11 (weights are solved for in float64), and rates above 1e-8.
"""

import argparse
import itertools
import json
import math
from collections.abc import Callable

import torch
from scipy.optimize import minimize
from torch import Tensor

from neuralsde.errors import ConfigError
from neuralsde.noise.fractional_weights import (
    HURST_KNOTS,
    HURST_RANGES,
    RANGES,
    Fractional,
    condition_number,
    default_rates,
    geometric_rates,
    relative_error,
    weights,
)

DOUBLE = torch.float64
HURST = torch.arange(1, 10, dtype=DOUBLE) / 10
RELEASED = geometric_rates(5, 1 / 20, 20)
LARGEST_WEIGHT, LARGEST_CONDITION, SLOWEST = 3e3, 1e11, 1e-8
Range = tuple[float, float]  # logarithms of the slowest and the fastest rate


def judged(h: Tensor, rates: Tensor, kind: Fractional) -> dict[str, float]:
    weight = weights(h, rates, 1.0, kind).abs().max().item()
    error = relative_error(h, rates, 1.0, kind).item()
    return {"error": error, "weight": weight, "condition": condition_number(rates, 1.0, kind)}


def compare(kind: Fractional, h: Tensor) -> dict[str, dict[str, float]]:
    """The four sets of rates at one H."""
    rates = {
        "released": RELEASED,
        "per_hurst": default_rates(kind, 5, hurst=h.item()),
        "per_type": default_rates(kind, 5),
        "per_type_12": default_rates(kind, 12),
    }
    found = {name: judged(h, grid, kind) for name, grid in rates.items()}
    for row in found.values():
        # An error of zero to rounding, at H = 1/2, has no ratio.
        row["gain"] = found["released"]["error"] / max(row["error"], 1e-13)
    return found


def report(kind: Fractional) -> list[str]:
    lines = []
    for h in HURST:
        found = compare(kind, h)
        rounded = {name: {key: float(f"{x:.3g}") for key, x in row.items()} for name, row in found.items()}
        print(json.dumps({"kind": kind.value, "hurst": round(h.item(), 1)} | rounded), flush=True)
        cells = [f"{row['error']:9.2e}{row['gain']:9.3g}{row['weight']:9.3g}{row['condition']:8.0e}" for row in found.values()]
        lines.append(f"{kind.value:8}{h.item():4.1f} " + " |".join(cells))
    return lines


def table() -> None:
    names = "released, K = 5", "range per H, K = 5", "range per type, K = 5", "range per type, K = 12"
    lines = [line for kind in Fractional for line in report(kind)]
    print("\n" + " " * 13 + " |".join(f"{name:^35}" for name in names))
    print(f"{'kind':8}{'H':>4} " + " |".join([f"{'error':>9}{'gain':>9}{'weight':>9}{'cond':>8}"] * 4))
    print("\n".join(lines))


def excess(limits: list[tuple[float, float]]) -> float:
    """Cost of values beyond their limits."""
    return sum(3 * max(0.0, math.log(value / limit)) for value, limit in limits)


def cost(kind: Fractional, count: int, hurst: Tensor, scale: Tensor) -> Callable[[Range], float]:
    """Logarithm of the largest error over its `scale`, and the excess over the limits, of a range."""

    def of(bounds: Range) -> float:
        try:
            rates = geometric_rates(count, math.exp(bounds[0]), math.exp(bounds[1]))
            error = relative_error(hurst, rates, 1.0, kind)
        except ConfigError:
            return math.inf
        largest = weights(hurst, rates, 1.0, kind).abs().max().item()
        condition = condition_number(rates, 1.0, kind)
        limits = [(largest, LARGEST_WEIGHT), (condition, LARGEST_CONDITION), (SLOWEST, rates[0].item())]
        return ((error + 1e-14) / scale).log().max().item() + excess(limits)

    return of


def descend(function: Callable[[Range], float], start: Range) -> Range:
    simplex = [start, (start[0] + 0.7, start[1]), (start[0], start[1] + 0.7)]
    options = {"initial_simplex": simplex, "xatol": 1e-3, "fatol": 1e-5, "maxfev": 400}
    return tuple(minimize(function, start, method="Nelder-Mead", options=options).x)


def best_range(function: Callable[[Range], float]) -> Range:
    """The least over a grid of ranges, and downhill from the twelve best."""
    grid = [r for r in itertools.product(range(-18, 4, 2), range(-1, 22, 2)) if r[1] > r[0] + 1]
    return min((descend(function, start) for start in sorted(grid, key=function)[:12]), key=function)


def search_one(kind: Fractional, count: int) -> Range:
    hurst = HURST[HURST != 0.5]
    return best_range(cost(kind, count, hurst, relative_error(hurst, RELEASED, 1.0, kind)))


def search_per_hurst(kind: Fractional, count: int) -> list[Range]:
    """Ranges for the HURST_KNOTS, each branch of optima followed from one of them."""
    found = {}
    rough = [h for h in HURST_KNOTS if h < 0.5]
    smooth = [h for h in HURST_KNOTS if h > 0.5]
    for branch in (rough[::-1], smooth[::-1]):
        start = None
        for h in branch:
            function = cost(kind, count, torch.tensor([h], dtype=DOUBLE), torch.ones(1, dtype=DOUBLE))
            start = best_range(function) if start is None else descend(function, start)
            found[h] = start
    return [found[h] for h in HURST_KNOTS]


def shown(bounds: Range) -> str:
    return "({:.3g}, {:.3g})".format(*(math.exp(x) for x in bounds))


def search() -> None:
    for kind in Fractional:
        for count in RANGES[kind]:
            print(f"RANGES[{kind.name}][{count}] = {shown(search_one(kind, count))}", flush=True)
        for count in HURST_RANGES[kind]:
            row = ", ".join(map(shown, search_per_hurst(kind, count)))
            print(f"HURST_RANGES[{kind.name}][{count}] = ({row})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--search", action="store_true")
    if parser.parse_args().search:
        search()
    else:
        table()


if __name__ == "__main__":
    main()
