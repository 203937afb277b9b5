"""Brownian motion on a fixed grid: everything is drawn at once, from one generator."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from neuralsde.noise.base import AbstractNoise
from neuralsde.noise.increments import Increments, LevyArea
from neuralsde.shares import normals

VARIANCES = 1.0, 1 / 12, 1 / 720  # of W, H, K over a step of length one


class Brownian(AbstractNoise):
    r"""Independent increments $W \sim N(0, h)$, $H \sim N(0, h/12)$, $K \sim N(0, h/720)$ per step of length $h$.

    A new path at every call; for one path on several grids draw the finest and `coarsen` it, or use `BrownianTree`.

    Args:
        generator: where the normals come from; torch's global generator if None.
    """

    def __init__(self, generator: torch.Generator | None = None):
        self.generator = generator

    @classmethod
    def of(cls, size: int, horizon: float) -> "Brownian":
        """The noise of an equation with `size` noises, over so long a time: any Brownian motion is."""
        return cls()

    def increments(
        self,
        times: Float[Tensor, "points *#batch 1"],
        shape: tuple[int, ...],
        area: LevyArea = LevyArea.NONE,
        dtype: torch.dtype | None = None,
    ) -> Increments:
        """Increments over the `points - 1` steps between `times`; see the base class."""
        dt = times.diff(dim=0).to(dtype or times.dtype)
        size = (len(dt), *shape)
        stds = [(variance * dt).sqrt() for variance in VARIANCES[: area + 1]]
        if dt.numel() == len(dt) and not dt.requires_grad:
            return Increments(dt, *(normals(size, dt, 1, self.generator, std.flatten()) for std in stds))
        return Increments(dt, *(normals(size, dt, 1, self.generator) * std for std in stds))

    def spawn(self, steps: Sequence[int]) -> list[AbstractNoise]:
        """Sources with a seed of their own each, drawn from the generator."""
        device = self.generator.device if self.generator is not None else None
        seeds = torch.randint(2**62, (len(steps),), generator=self.generator, device=device)
        return [_Replayed(seed) for seed in seeds.tolist()]


class _Replayed(Brownian):
    """Brownian motion that starts from `seed` at every call."""

    def __init__(self, seed: int):
        super().__init__()
        self.seed = seed

    def increments(
        self,
        times: Float[Tensor, "points *#batch 1"],
        shape: tuple[int, ...],
        area: LevyArea = LevyArea.NONE,
        dtype: torch.dtype | None = None,
    ) -> Increments:
        generator = torch.Generator(times.device).manual_seed(self.seed)
        return Brownian(generator).increments(times, shape, area, dtype)

    def spawn(self, steps: Sequence[int]) -> list[AbstractNoise]:
        return Brownian(torch.Generator().manual_seed(self.seed)).spawn(steps)
