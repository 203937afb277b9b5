"""The conditional laws are linear maps of the parent and of normals, so their covariances are checked exactly."""

import pytest
import torch

from neuralsde.noise.conditional import interior, split
from neuralsde.noise.piece import Piece

LENGTH = 0.7


def unit_noise(count):
    """The parent's `count` quantities and `count` normals, each as a column of the identity: outputs are then the
    rows of the linear map."""
    basis = torch.eye(2 * count, dtype=torch.float64)
    variances = LENGTH, LENGTH**3 / 12, LENGTH**5 / 720
    quantities = (v**0.5 * e for v, e in zip(variances, basis[:count], strict=False))
    parent = Piece(torch.tensor([LENGTH], dtype=torch.float64), *quantities)
    return parent, list(basis[count:])


def covariance(pieces):
    rows = torch.stack([x for p in pieces for x in (p.w, p.bh, p.bk) if x is not None])
    return rows @ rows.T


def independent(lengths, count):
    variances = [v for h in lengths for v in (h, h**3 / 12, h**5 / 720)[:count]]
    return torch.diag(torch.tensor(variances, dtype=torch.float64))


def relative_error(found, expected):
    scale = expected.diagonal().sqrt()
    return ((found - expected) / (scale[:, None] * scale)).abs().max()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_halves_of_a_path_are_independent_and_of_the_right_variance(count):
    parent, normals = unit_noise(count)
    halves = split(parent, normals)
    assert relative_error(covariance(halves), independent([LENGTH / 2] * 2, count)) < 1e-12
    for a, b in zip(halves[0].join(halves[1]).__dict__.values(), parent.__dict__.values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("ratio", [1e-6, 1e-3, 0.1, 0.3, 0.5, 0.7, 0.95, 1 - 1e-4])
def test_both_sides_of_an_interior_point_are_independent_and_of_the_right_variance(count, ratio):
    parent, normals = unit_noise(count)
    sides = interior(parent, torch.tensor([ratio], dtype=torch.float64), normals)
    short = min(ratio, 1 - ratio)
    # The long side is a difference: beside a short side of length s it is known to about eps / s^(2 count - 1) of it.
    tolerance = 1e-10 if short > 1e-2 else 1e-4
    assert relative_error(covariance(sides), independent([ratio * LENGTH, (1 - ratio) * LENGTH], count)) < tolerance
    for a, b in zip(sides[0].join(sides[1]).__dict__.values(), parent.__dict__.values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("ratio", [0.0, 1.0])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_point_at_an_end_cuts_nothing_off(count, ratio):
    parent, normals = unit_noise(count)
    whole = interior(parent, torch.tensor([ratio], dtype=torch.float64), normals)[0 if ratio == 1 else 1]
    for a, b in zip(whole.__dict__.values(), parent.__dict__.values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_a_wrong_interpolant_is_seen():
    """Control: the linear interpolant and the quadratic spline, both without noise, miss the variance."""
    parent, normals = unit_noise(3)
    silent = [torch.zeros_like(z) for z in normals]
    sides = interior(parent, torch.tensor([0.3], dtype=torch.float64), silent)
    assert relative_error(covariance(sides), independent([0.3 * LENGTH, 0.7 * LENGTH], 3)) > 0.1
    linear = Piece(0.3 * parent.length, 0.3 * parent.w, 0 * parent.bh, 0 * parent.bk)
    sides = linear, parent.without_head(linear)
    assert relative_error(covariance(sides), independent([0.3 * LENGTH, 0.7 * LENGTH], 3)) > 0.1
