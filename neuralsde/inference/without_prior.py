"""What latent processes refuse that run along the observations and have no prior."""

from typing import NoReturn

from jaxtyping import Float
from torch import Tensor

from neuralsde.errors import ConfigError


class WithoutPrior:
    """For a process whose path is a function of the observations (and of noise): no sampling, no flow of its own."""

    def from_prior(self, n: int, times: Float[Tensor, "#batch bin"]) -> NoReturn:
        raise ConfigError(
            f"model.dynamics {type(self).__name__} runs along the observations and has no prior to sample from: train a "
            "model=latent_sde for that."
        )

    def equation(self) -> NoReturn:
        raise ConfigError(
            f"The drift of model.dynamics {type(self).__name__} depends on the observations that drive it: there is no flow of "
            "its own to analyse."
        )
