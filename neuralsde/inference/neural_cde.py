from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.inference.bin_clock import check_method, solve_over_bins
from neuralsde.inference.path import Estimator, Evidence, LatentPath, LatentProcess, check_sizes, refuse_memory
from neuralsde.inference.without_prior import WithoutPrior
from neuralsde.noise import AbstractNoise


class NeuralCDE(WithoutPrior, LatentProcess):
    r"""A neural controlled equation, $\mathrm dz = f(z)\,\mathrm dX$, $z_0 = \mathrm{Linear}(X(t_0))$: the limit of a driven
    equation without noise that feels how its control path moves instead of where it is.

    The encoder's context is the path $X$, linear from bin to bin; let time be one of its channels
    (`model.encoder.read_time=true`). Beyond the data $X$ rests, and so does $z$.

    Args:
        context_size: channels of the encoder's context.
        latent_size: size of the state.
        hidden_size: units of the net $f$, whose last layer is bounded by tanh.
        depth: its hidden layers.
        method: one of `bin_clock.METHODS`, as torchdiffeq names them; those of fixed step take one step per bin.
        noise: of the model; none drives it, so that any but the default is refused.

    Reference: Kidger, Morrill, Foster, Lyons, *Neural controlled differential equations for irregular time series*, 2020,
    arXiv:2005.08926.
    """

    def __init__(
        self,
        context_size: int,
        latent_size: int,
        hidden_size: int = 64,
        depth: int = 1,
        method: str = "rk4",
        noise: Callable[..., AbstractNoise] | None = None,
    ):
        super().__init__()
        check_method(method)
        refuse_memory(noise, type(self).__name__)
        check_sizes(latent_size, 1, None, 0.0, 1.0)
        for name, value in (("hidden_size", hidden_size), ("depth", depth)):
            if type(value) is not int or value < 1:
                raise ConfigError(f"model.dynamics.{name} is {value}; give a whole number of at least 1.")
        self.output_size, self.method = latent_size, method
        self.start = nn.Linear(context_size, latent_size)
        layers: list[nn.Module] = [nn.Linear(latent_size, hidden_size), nn.ReLU()]
        for _ in range(depth - 1):
            layers += [nn.Linear(hidden_size, hidden_size), nn.ReLU()]
        self.field = nn.Sequential(*layers, nn.Linear(hidden_size, latent_size * context_size), nn.Tanh())

    def forward(
        self,
        context: Float[Tensor, "batch bin context"],
        times: Float[Tensor, "#batch bin"],
        observed_bins: int,
        estimator: Estimator = Estimator.ANALYTIC,
        evidence: Evidence | None = None,
        samples: int = 1,
    ) -> LatentPath:
        moves = context.diff(dim=1)

        def rate(bin: Tensor, share: Tensor, z: Float[Tensor, "batch state"]) -> Float[Tensor, "batch state"]:
            return torch.einsum("bsc,bc->bs", self.field(z).view(*z.shape, -1), moves[:, bin])

        states = solve_over_bins(rate, self.start(context[:, 0]), context.shape[1], self.method)
        return LatentPath(states, {}, states[:, -1])

    def go_on(
        self, end: Float[Tensor, "batch state"], times: Float[Tensor, "#batch point"]
    ) -> Float[Tensor, "batch ahead latent"]:
        return end[:, None].expand(-1, times.shape[1] - 1, -1)
