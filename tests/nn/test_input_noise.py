import pytest
import torch

from neuralsde.errors import ConfigError
from neuralsde.nn.input_noise import InputNoise
from neuralsde.shares import Share, sharing


def test_noise_has_its_deviation_in_training_alone():
    """n = 40,000 draws, six standard errors; a deviation 5 % off is seen."""
    torch.manual_seed(0)
    noise, x = InputNoise(0.3), torch.ones(200, 200)
    added = (noise(x) - x).double()
    assert abs(added.mean()) < 6 * 0.3 / 200
    error = 0.3 / (2 * 40_000) ** 0.5
    assert abs(added.std() - 0.3) < 6 * error < 0.05 * 0.3
    assert noise.eval()(x) is x
    with pytest.raises(ConfigError, match=r"context_noise is -0\.1"):
        InputNoise(-0.1)


def test_a_trial_meets_the_same_noise_in_whatever_process_computes_it():
    noise, x, parts = InputNoise(0.3), torch.zeros(5, 3), []
    torch.manual_seed(0)
    whole = noise(x)
    for rank in range(2):
        torch.manual_seed(0)
        share = Share.of(5, rank, 2)
        with sharing(share):
            parts.append(noise(x[share.first : share.first + share.rows]))
    assert torch.equal(torch.cat(parts), whole)
