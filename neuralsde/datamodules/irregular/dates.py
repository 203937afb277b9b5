"""Dates as times since another date, and back."""

from typing import Literal

import numpy as np

Unit = Literal["D", "s", "us", "ns"]
SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
"""Units that dates can be turned into."""


def since(dates: np.ndarray, origin: np.datetime64, unit: str) -> np.ndarray:
    """Time of dates since `origin`, float64, in `unit`."""
    return (dates - origin) / np.timedelta64(round(SECONDS[unit]), "s")


def dated(origin: np.ndarray, times: np.ndarray, unit: str) -> np.ndarray:
    """Dates that lie `times` after `origin`, datetime64; shapes broadcast."""
    fine, per_second = ("ns", 1e9) if np.datetime_data(origin.dtype)[0] == "ns" else ("us", 1e6)
    return origin + np.round(times * SECONDS[unit] * per_second).astype(f"timedelta64[{fine}]")


def words_of(dates: np.ndarray, zone: str = "") -> np.ndarray:
    """ISO dates, as fine as they need to be: days, seconds or fractions of them."""
    units: tuple[Unit, ...] = ("D", "s", "us", "ns")
    fits: list[Unit] = [unit for unit in units if (dates.astype(f"datetime64[{unit}]") == dates).all()]
    unit = fits[0] if fits else "ns"
    return np.char.add(np.datetime_as_string(dates, unit=unit), "" if unit == "D" else zone)
