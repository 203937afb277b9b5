from collections.abc import Callable
from typing import NoReturn

from jaxtyping import Float
from torch import Tensor

from neuralsde.errors import ConfigError
from neuralsde.inference.path import Estimator, Evidence, LatentPath, LatentProcess, refuse_memory
from neuralsde.inference.without_prior import WithoutPrior
from neuralsde.noise import AbstractNoise


class ContextAlone(WithoutPrior, LatentProcess):
    """No dynamics: the decoder reads the encoder's context, as in a plain GRU, GRU-D or Transformer. The control of every claim
    that dynamics help.

    Args:
        context_size: channels of the encoder's context.
        noise: of the model; none drives it, so that any but the default is refused.
    """

    def __init__(self, context_size: int, noise: Callable[..., AbstractNoise] | None = None):
        super().__init__()
        refuse_memory(noise, type(self).__name__)
        self.output_size = context_size

    def forward(
        self,
        context: Float[Tensor, "batch bin context"],
        times: Float[Tensor, "#batch bin"],
        observed_bins: int,
        estimator: Estimator = Estimator.ANALYTIC,
        evidence: Evidence | None = None,
        samples: int = 1,
    ) -> LatentPath:
        return LatentPath(context, {}, context[:, -1])

    def go_on(self, end: Float[Tensor, "batch state"], times: Float[Tensor, "#batch point"]) -> NoReturn:
        raise ConfigError(
            "model/dynamics=none cannot go on beyond the data: choose other dynamics to forecast, or data whose targets lie "
            "ahead (data.task=forecast)."
        )
