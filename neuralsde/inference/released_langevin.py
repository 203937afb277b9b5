import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.inference.path import Estimator, Evidence, LatentPath, LatentProcess, refuse_memory, sample_standard
from neuralsde.nn.potentials import LocallyCoupledOscillators
from neuralsde.noise import AbstractNoise
from neuralsde.shares import normals

PRIOR_VARIANCE = 0.1  # of the velocity, after each bin, in the release and in the paper's Eq. 17


class ReleasedLangevin(LatentProcess):
    r"""The latent recursion of the LangevinFlow release. Only $z_0, v_0$ are inferred; later bins run the prior.

    With step $D$ and damping $g$ per bin,

    $$z_t = z_{t-1} + D v_{t-1}, \qquad v' = v_{t-1} - D \nabla U(z_{t-1}), \qquad
      v_t = (1-g) v' + \sqrt{2g}\,\varepsilon .$$

    Args:
        context_size: channels of the encoder's context; $z$ and $v$ have as many.
        bin_width_s: bin width, in seconds.
        friction_per_s: damping rate $g / \Delta t$, per second (released: 0.55 per 20 ms bin).
        model_time_per_s: time step $D / \Delta t$, model time units per second (released: 0.01 per 20 ms bin).
        potential_rows: rows of the coupled-oscillator potential.
        kernel_init: start of its kernel, see `LocallyCoupledOscillators`.
        transition_kl: `released` enters the sampled velocity as a mean and a variance as a log-variance; `gaussian` is
            the paper's Eq. 17, $\mathrm{KL}(\mathcal N((1-g)v', \sigma^2)\,\|\,\mathcal N(0, 0.1))$ with the noise's
            variance. At fixed $g$ they differ by a constant in expectation.
        noise_law: `euler_release` ($\sqrt{2g}$) or `exact_ou` ($\sqrt{1-(1-g)^2}$, unit stationary variance).
        ablate_latent: zero the latent path that the decoder sees (the control for "does the latent matter?").
        noise: of the model; the release has its own, so that any but the default is refused.

    Reference: Song et al., 2025, arXiv:2507.11531, and its release.
    """

    estimators = frozenset({Estimator.ANALYTIC})

    def __init__(
        self,
        context_size: int,
        bin_width_s: float,
        friction_per_s: float,
        model_time_per_s: float = 0.5,
        potential_rows: int = 4,
        kernel_init: str = "zeros_normalized",
        transition_kl: str = "released",
        noise_law: str = "euler_release",
        ablate_latent: bool = False,
        noise: Callable[..., AbstractNoise] | None = None,
    ):
        refuse_memory(noise, type(self).__name__)
        super().__init__()
        self.damping, self.step = friction_per_s * bin_width_s, model_time_per_s * bin_width_s
        if not 0 < self.damping < 1:
            raise ConfigError(
                f"friction {friction_per_s}/s damps {self.damping:.3g} per {bin_width_s} s bin; the released recursion "
                "needs a value between 0 and 1: lower model.dynamics.friction_per_s."
            )
        if transition_kl not in ("released", "gaussian"):
            raise ConfigError(f"model.dynamics.transition_kl is {transition_kl!r}; choose released or gaussian.")
        if noise_law not in ("euler_release", "exact_ou"):
            raise ConfigError(f"model.dynamics.noise_law is {noise_law!r}; choose euler_release or exact_ou.")
        self.potential = LocallyCoupledOscillators(context_size, potential_rows, kernel_init)
        self.heads = nn.ModuleDict({n: nn.Linear(context_size, context_size) for n in ("z_m", "z_l", "v_m", "v_l")})
        self.transition_kl, self.ablate_latent = transition_kl, ablate_latent
        self.noise_std = math.sqrt(2 * self.damping if noise_law == "euler_release" else 1 - (1 - self.damping) ** 2)
        self.output_size = 2 * context_size

    def forward(
        self,
        context: Float[Tensor, "batch bin context"],
        times: Float[Tensor, "#batch bin"],
        observed_bins: int,
        estimator: Estimator = Estimator.ANALYTIC,
        evidence: Evidence | None = None,
        samples: int = 1,
    ) -> LatentPath:
        first = context[:, 0]
        z, kl_z = sample_standard(self.heads["z_m"](first), self.heads["z_l"](first))
        v, kl_v = sample_standard(self.heads["v_m"](first), self.heads["v_l"](first))
        states, means = self._recurse(z, v, context.shape[1] - 1)
        kl_path = self._path_kl(means, states[:, 1:, z.shape[1] :])
        if self.ablate_latent:
            states = torch.zeros_like(states)
        return LatentPath(states, {"kl_z0": kl_z, "kl_v0": kl_v, "kl_path": kl_path}, states[:, -1])

    def from_prior(self, n: int, times: Float[Tensor, "#batch bin"]) -> Float[Tensor, "n bin latent"]:
        z, v = torch.randn(2, n, self.output_size // 2, device=self.potential.kernel.device)
        return self._recurse(z, v, times.shape[1] - 1)[0]

    def go_on(
        self, end: Float[Tensor, "batch state"], times: Float[Tensor, "#batch point"]
    ) -> Float[Tensor, "batch ahead latent"]:
        z, v = end.chunk(2, dim=1)
        return self._recurse(z, v, times.shape[1] - 1)[0][:, 1:]

    def _recurse(self, z: Tensor, v: Tensor, bins: int) -> tuple[Float[Tensor, "batch bin latent"], Tensor]:
        """States from $z, v$ on through `bins` more, and the velocities' means."""
        noise = self.noise_std * normals((bins, *v.shape), v, axis=1)
        # v_t = (1-g) v - (1-g) D A z + noise: the two factors go into the matrix, once for all bins.
        kick = -(1 - self.damping) * self.step * self.potential.matrix()
        positions, velocities, means = [z], [v], []
        for eps in noise.unbind(0):
            mean = torch.addmm(v, z, kick, beta=1 - self.damping)
            z = z.add(v, alpha=self.step)
            v = mean + eps
            positions.append(z), velocities.append(v), means.append(mean)
        states = torch.cat([torch.stack(positions, 1), torch.stack(velocities, 1)], dim=2)
        return states, torch.stack(means, 1)

    def _path_kl(self, mean: Tensor, velocity: Tensor) -> Float[Tensor, " batch"]:
        if self.transition_kl == "released":
            log_var = 2 * self.damping  # the variance, taken for a log-variance
            constant = math.log(PRIOR_VARIANCE) - log_var - 1 + math.exp(log_var) / PRIOR_VARIANCE
            square = velocity.square()
        else:
            variance = self.noise_std**2
            constant = math.log(PRIOR_VARIANCE) - math.log(variance) - 1 + variance / PRIOR_VARIANCE
            square = mean.square()
        return 0.5 * (square.sum((1, 2)) / PRIOR_VARIANCE + constant * square[0].numel())
