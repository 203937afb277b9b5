"""The problem that all contestants solve: Euler steps of an SDE whose drift is a small net, with learned constant noise."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from neuralsde.nn.mlp import MLP
from neuralsde.sde import AbstractChainDrift, Calculus, NoiseType


@dataclass(frozen=True)
class Case:
    """`batch` samples of a state of `state`, a tanh net state-hidden-state as drift, `steps` steps on [0, 1]."""

    batch: int
    state: int
    hidden: int
    steps: int

    @property
    def name(self) -> str:
        return f"{self.batch}x{self.state}, {self.steps} steps"


class NetSDE(AbstractChainDrift):
    """The equation, for ours and for torchsde: `f` and `g` are torchsde's words for drift and diffusion."""

    noise, calculus = NoiseType.ADDITIVE, Calculus.ITO
    noise_type, sde_type = "diagonal", "ito"

    def __init__(self, case: Case):
        super().__init__()
        self.net = MLP(case.state, case.state, case.hidden)
        self.sigma = nn.Parameter(torch.full((case.state,), 0.3))

    def drift(self, t: Tensor, z: Tensor) -> Tensor:
        return self.net(z)

    def diffusion(self, t: Tensor, z: Tensor) -> Tensor:
        return self.sigma.expand_as(z)

    f, g = drift, diffusion

    def entry(self) -> Tensor:
        return self.net.parts()[0].weight

    def offset(self, t: Tensor) -> Tensor:
        bias = self.net.parts()[0].bias
        return bias.expand(*t.shape[:-1], len(bias))

    def tail(self) -> list[nn.Module]:
        return self.net.parts()[1]
