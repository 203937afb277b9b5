"""Series filled in by the compiled loop, beside torch's operations (which are held to numpy and scipy in tests/nn)."""

import pytest
import torch
from torch import Tensor

from neuralsde.kernels.build import SETTING, library
from neuralsde.kernels.splines import SOURCE, compiled_fill
from neuralsde.nn.control_path import linear_path, natural_cubic_path

PATHS = {"linear": linear_path, "natural": natural_cubic_path}


@pytest.fixture(autouse=True)
def _kernel():
    if library(SOURCE) is None:
        pytest.skip("there is no C compiler")


def series(rows: int, known: float, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Irregular times, three channels of which one is never known; the last third of the second series is padding."""
    torch.manual_seed(rows)
    times = 1000 + torch.rand(5, rows, dtype=torch.float64).add(0.1).cumsum(1)
    values = torch.randn(5, rows, 3, dtype=torch.float64)
    values[torch.rand(5, rows, 3) > known] = torch.nan
    values[:, :, 2] = torch.nan
    end = max(2 * rows // 3, 1)
    times[1, end:], values[1, end:] = times[1, end - 1, None].clone(), torch.nan
    return times.to(dtype), values.to(dtype)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("rows", "known"), [(40, 0.7), (40, 0.1), (2, 0.5), (1, 1.0), (9, 1.0)])
def test_rows_are_filled_as_by_torch(path, rows, known, monkeypatch):
    times, values = series(rows, known)
    found = PATHS[path](times, values)
    shifted = PATHS[path](times, values + 1e-3)
    monkeypatch.setenv(SETTING, "0")
    exact = PATHS[path](times.double(), values.double())
    assert not found.isnan().any()
    torch.testing.assert_close(found.double(), exact, rtol=2e-5, atol=2e-5)
    assert rows == 1 or (shifted - exact).abs().max() > 5e-4
    assert torch.equal(found[:, :, :2][~values[:, :, :2].isnan()], values[~values.isnan()])


def test_number_of_threads_changes_nothing():
    given, before = series(30, 0.6), torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        several = natural_cubic_path(*given)
        torch.set_num_threads(1)
        assert torch.equal(natural_cubic_path(*given), several)
    finally:
        torch.set_num_threads(before)


def test_gradients_and_other_precisions_are_left_to_torch():
    times, values = series(20, 0.6)
    assert compiled_fill(times, values, natural=True) is not None
    assert compiled_fill(times, values.double(), natural=True) is None
    assert compiled_fill(times, values.requires_grad_(), natural=True) is None
    for path in PATHS.values():
        (slope,) = torch.autograd.grad(path(times, values).sum(), values)
        assert slope[~values.isnan()].abs().sum() > 0


@pytest.mark.parametrize("path", PATHS)
def test_large_times_lose_nothing(path, monkeypatch):
    """Seconds since 1970, as the times since a series' first one."""
    times, values = series(30, 0.6, torch.float64)
    for setting in ("1", "0"):
        monkeypatch.setenv(SETTING, setting)
        found = PATHS[path](times + 1.7e9, values.float())
        torch.testing.assert_close(found, PATHS[path](times - times[:, :1], values.float()), rtol=1e-4, atol=1e-4)
