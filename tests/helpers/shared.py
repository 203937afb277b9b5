"""Recordings that lie beside a checkout for local tests; tests that need one skip with a reason where it is not."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[3] / "shared"


def shared_path(relative: str) -> Path:
    """A file or folder beside the checkout, or a skip."""
    path = SHARED / relative
    if not path.exists():
        pytest.skip(f"{relative} does not lie in ../shared")
    return path
