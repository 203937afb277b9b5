from collections.abc import Callable, Iterable
from typing import NoReturn

from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.inference.path import Estimator, Evidence, LatentPath, LatentProcess, check_sizes, gaussian_sample
from neuralsde.inference.scale import DiagonalScale
from neuralsde.noise import AbstractNoise
from neuralsde.shares import normals


class GaussianStates(LatentProcess):
    r"""States that are independent and standard normal under the prior, and independent Gaussians under the posterior:

    $$q(z_k \mid y) = \mathcal N(m_k, \operatorname{diag} e^{l_k}), \qquad (m_k, l_k) = \mathrm{head}(h_k), \qquad
      p(z_k) = \mathcal N(0, I),$$

    where $h$ is the path of another process along the context. This is the latent of multi-time attention networks
    (`process` none, with the encoder `time_attention`), and of the published stable neural SDEs' interpolation (a driven
    equation). Where $h$ is random the divergence is that given $h$, whose mean is no less than that of the mixture: the bound
    holds.

    Args:
        context_size: channels of the encoder's context.
        latent_size: size of $z_k$.
        process: makes the process behind $h$ from `context_size` and, where one is given, `noise`.
        share_path: draw one path $h$ for all samples of a trial, as the published code does; else one each.
        noise: of the model, handed on to `process`.

    Raises:
        ConfigError: a setting is impossible, or `process` wants the observations' own likelihood.

    Reference: Shukla & Marlin, *Multi-time attention networks for irregularly sampled time series*, 2021, arXiv:2101.10318;
    Oh, Lim, Kim, *Stable neural SDEs in analyzing irregular time series data*, 2024, arXiv:2402.14989, its code.
    """

    def __init__(
        self,
        context_size: int,
        latent_size: int,
        process: Callable[..., LatentProcess],
        share_path: bool = False,
        noise: Callable[..., AbstractNoise] | None = None,
    ):
        super().__init__()
        check_sizes(latent_size, 1, None, 0.0, 1.0)
        if type(share_path) is not bool:
            raise ConfigError(f"model.dynamics.share_path is {share_path}; give true or false.")
        self.process = process(context_size=context_size, **({} if noise is None else {"noise": noise}))
        if self.process.wants_evidence:
            raise ConfigError(
                f"model.dynamics.process {type(self.process).__name__} knows the exact posterior of its own states, and "
                "GaussianStates infers others: choose another process."
            )
        size = self.process.output_size
        layers = (nn.Tanh(), nn.Linear(size, size), nn.ReLU(), nn.Linear(size, size), nn.Linear(size, 2 * latent_size))
        self.head, self.output_size, self.share_path = nn.Sequential(*layers), latent_size, share_path
        self.per_second = self.process.per_second

    def learned(self) -> dict[str, Float[Tensor, " _"]]:
        return self.process.learned()

    def units(self) -> dict[str, str]:
        return self.process.units()

    def penalised(self) -> Iterable[nn.Parameter]:
        return self.process.penalised()

    def forward(
        self,
        context: Float[Tensor, "batch bin context"],
        times: Float[Tensor, "#batch bin"],
        observed_bins: int,
        estimator: Estimator = Estimator.ANALYTIC,
        evidence: Evidence | None = None,
        samples: int = 1,
    ) -> LatentPath:
        runs = 1 if self.share_path else samples
        trials = len(context) // samples
        rows = times if len(times) == 1 else times[: runs * trials]
        path = self.process(context[: runs * trials], rows, observed_bins, estimator, None, runs)
        mean, log_var = self.head(path.states).repeat(samples // runs, 1, 1).chunk(2, dim=2)
        standard = mean.new_zeros(mean.shape[1] * mean.shape[2])
        spread = DiagonalScale(log_var.flatten(1)[None] / 2)
        states, cost = gaussian_sample(mean.flatten(1), spread, standard, standard, estimator)
        kl = {name: value.repeat(samples // runs) for name, value in path.kl.items()} | {"kl_states": cost}
        states = states.unflatten(1, mean.shape[1:])
        return LatentPath(states, kl, states[:, -1])

    def from_prior(self, n: int, times: Float[Tensor, "#batch bin"]) -> Float[Tensor, "n bin latent"]:
        return normals((n, times.shape[1], self.output_size), next(self.parameters()))

    def go_on(self, end: Float[Tensor, "batch state"], times: Float[Tensor, "#batch point"]) -> NoReturn:
        raise ConfigError(
            "model.dynamics GaussianStates has a state for each bin of its own and cannot go on beyond the data: choose other "
            "model/dynamics to forecast."
        )
