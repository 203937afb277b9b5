"""Tables of irregular series as a user may have them."""

import numpy as np


def random_rows(n: int, seed: int = 0) -> list[list[str]]:
    """Rows series, time, x, y, weight, kind: `n` series of 4 to 9 rows with gaps in y."""
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(n):
        times = np.cumsum(rng.uniform(0.1, 2, rng.integers(4, 10))).round(3)
        for time in times:
            y = "" if rng.random() < 0.3 else f"{rng.normal():.4f}"
            rows.append([f"s{k}", f"{time}", f"{rng.normal() + k % 2:.4f}", y, f"{50 + k}", "up" if k % 2 else "down"])
    return rows


HEADER = ["series", "time", "x", "y", "weight", "kind"]


def csv_text(rows: list[list[str]], header: list[str] | None = None, separator: str = ",") -> str:
    return "\n".join(separator.join(row) for row in [header or HEADER, *rows]) + "\n"
