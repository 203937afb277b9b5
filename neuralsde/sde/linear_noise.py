import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.sde.base import Time
from neuralsde.sde.chain import AbstractChainDrift
from neuralsde.sde.multiplicative import AbstractLinearNoise
from neuralsde.sde.neural import AbstractStableNeural


class LinearNoise(AbstractStableNeural, AbstractChainDrift, AbstractLinearNoise):
    r"""Neural linear-noise SDE (LNSDE): $dz = \gamma(t, \bar z)\,dt + \sigma(t)\,z\,dW$ (Itô).

    The volatility net reads $1 - \exp(-\mathrm{softplus}(r)\,t)$ with learned $r$, so that it saturates at late times.
    See `AbstractStableNeural` for the other nets, the arguments and the reference.
    """

    def __init__(
        self,
        state_size: int,
        hidden_size: int = 64,
        depth: int = 1,
        control_size: int = 0,
        sigma: float | None = None,
    ):
        super().__init__(state_size, hidden_size, depth, control_size, sigma)
        self.saturation = nn.Parameter(torch.tensor(1.0))

    def drift(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        return self.gamma(t, z)

    def volatility(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*#batch #state"]:
        clock = -torch.expm1(-nn.functional.softplus(self.saturation) * t)
        return self.sigma(clock.view(*clock.shape[:-1], 1)).expand_as(z)
