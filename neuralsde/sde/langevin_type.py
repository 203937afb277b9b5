from jaxtyping import Float
from torch import Tensor

from neuralsde.sde.base import NoiseType, Time
from neuralsde.sde.chain import AbstractChainDrift
from neuralsde.sde.neural import AbstractStableNeural


class LangevinType(AbstractStableNeural, AbstractChainDrift):
    r"""Neural Langevin-type SDE (LSDE): $dz = \gamma(\bar z)\,dt + \sigma(t)\,dW$, additive noise.

    See `AbstractStableNeural` for the nets, the arguments and the reference.
    """

    noise = NoiseType.ADDITIVE
    reads_time = False

    def drift(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        return self.gamma(t, z)

    def diffusion(self, t: Time, z: Float[Tensor, "*batch state"]) -> Float[Tensor, "*batch state"]:
        return self.sigma(t.view(*t.shape[:-1], 1)).expand_as(z)
