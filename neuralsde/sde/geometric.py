from jaxtyping import Float
from torch import Tensor

from neuralsde.sde.base import Time
from neuralsde.sde.multiplicative import AbstractGeometric
from neuralsde.sde.neural import AbstractStableNeural


class Geometric(AbstractStableNeural, AbstractGeometric):
    r"""Neural geometric SDE (GSDE): $dz = \gamma(t, \bar z)\,z\,dt + \sigma(t)\,z\,dW$ (Itô); signs never change.

    Start it away from zero, for example at $\mathrm{softplus}(\cdot) + 10^{-4}$, and solve it with `LogEuler`.
    With held nets it is the drift of $\log |z|$, $\gamma - \frac12 \sigma^2$, that is bounded and points inward.
    See `AbstractStableNeural` for the nets, the arguments and the reference.
    """

    def growth(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        gamma = self.gamma(t, z)
        return gamma + self.volatility(t, z) ** 2 / 2 if self.held else gamma

    def log_drift(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        return self.gamma(t, z) if self.held else super().log_drift(t, z)

    def volatility(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*#batch #state"]:
        return self.sigma(t.view(*t.shape[:-1], 1)).expand_as(z)
