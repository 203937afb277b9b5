import numpy as np
import pytest
import torch

from neuralsde.errors import ConfigError
from neuralsde.noise import Brownian, LevyArea, space_space_area

H = 0.5


def simulated(paths=20_000, steps=64):
    """W, H and the true area A_01 of two Brownian motions, from a fine Euler sum, on [0, .5]."""
    times = torch.linspace(0, H, steps + 1, dtype=torch.float64).view(-1, 1, 1)
    fine = Brownian(torch.Generator().manual_seed(0)).increments(times, (paths, 2), LevyArea.SPACE_TIME)
    # With the pieces' own H the sum is the exact conditional mean given the fine path: only area within pieces is lost.
    start = fine.w.cumsum(0) - fine.w
    area = (start[..., 0] * fine.w[..., 1] - start[..., 1] * fine.w[..., 0]).sum(0) / 2
    area += (fine.h[..., 0] * fine.w[..., 1] - fine.w[..., 0] * fine.h[..., 1]).sum(0)
    return fine.coarsen(steps)[0], area


def regression(path, area):
    """Intercept and slope of squared residual / h^2 on (H_0^2 + H_1^2) / h, with standard errors."""
    mean = path.h[:, 0] * path.w[:, 1] - path.w[:, 0] * path.h[:, 1]
    residual = (area - mean).numpy() ** 2 / H**2
    x = np.stack([np.ones(len(area)), path.h.square().sum(-1).numpy() / H], 1)
    beta, *_ = np.linalg.lstsq(x, residual, rcond=None)
    noise = residual - x @ beta
    inverse = np.linalg.inv(x.T @ x)
    return beta, np.sqrt(np.diag(inverse @ (x.T * noise**2) @ x @ inverse))


def test_the_conditional_variance_is_that_of_simulated_areas():
    """Squared residuals regressed on H^2: intercept 1/20, slope 1/5, within 4 standard errors and the fine sum's loss
    of about 1/64; torchsde's intercept 1/100 * 2 is rejected."""
    path, area = simulated()
    beta, error = regression(path, area)
    assert abs(beta[0] - 1 / 20) < 4 * error[0] + 2e-3
    assert abs(beta[1] - 1 / 5) < 4 * error[1] + 1e-2
    assert abs(beta[0] - 1 / 50) > 6 * error[0] + 1e-3


def test_draws_have_the_conditional_law_and_are_antisymmetric():
    path, _ = simulated()
    draw = space_space_area(path, torch.Generator().manual_seed(1))
    torch.testing.assert_close(draw, -draw.mT)
    beta, error = regression(path, draw[:, 0, 1])
    assert abs(beta[0] - 1 / 20) < 4 * error[0]
    assert abs(beta[1] - 1 / 5) < 4 * error[1]
    torch.testing.assert_close(draw[:, 0, 1].var().item(), H**2 / 4, rtol=0.03, atol=0)  # given nothing: h^2 / 4
    with pytest.raises(ConfigError, match="carries NONE"):
        space_space_area(path.keep(LevyArea.NONE))
