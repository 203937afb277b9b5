"""Equations, one a file, each with its noise type and calculus as class facts."""

from neuralsde.sde.base import AbstractSDE, Calculus, NoiseType, Time, noise_term
from neuralsde.sde.chain import AbstractChainDrift
from neuralsde.sde.cir import CoxIngersollRoss
from neuralsde.sde.convert import ItoForm, StratonovichForm
from neuralsde.sde.double_well import DoubleWell
from neuralsde.sde.driven import AbstractDriven
from neuralsde.sde.geometric import Geometric
from neuralsde.sde.geometric_brownian import GeometricBrownian
from neuralsde.sde.langevin_type import LangevinType
from neuralsde.sde.learned_langevin import LearnedLangevin
from neuralsde.sde.linear_noise import LinearNoise
from neuralsde.sde.multiplicative import AbstractGeometric, AbstractLinearNoise
from neuralsde.sde.neural import Neural, NeuralAdditive
from neuralsde.sde.ornstein_uhlenbeck import LearnedOrnsteinUhlenbeck, OrnsteinUhlenbeck
from neuralsde.sde.published_stable import (
    AbstractPublishedStable,
    PublishedGeometric,
    PublishedLangevinType,
    PublishedLinearNoise,
)
from neuralsde.sde.stochastic_lorenz import StochasticLorenz
from neuralsde.sde.underdamped_langevin import UnderdampedLangevin

__all__ = [
    "AbstractChainDrift",
    "AbstractDriven",
    "AbstractGeometric",
    "AbstractLinearNoise",
    "AbstractPublishedStable",
    "AbstractSDE",
    "Calculus",
    "CoxIngersollRoss",
    "DoubleWell",
    "Geometric",
    "GeometricBrownian",
    "ItoForm",
    "LangevinType",
    "LearnedLangevin",
    "LearnedOrnsteinUhlenbeck",
    "LinearNoise",
    "Neural",
    "NeuralAdditive",
    "NoiseType",
    "OrnsteinUhlenbeck",
    "PublishedGeometric",
    "PublishedLangevinType",
    "PublishedLinearNoise",
    "StochasticLorenz",
    "StratonovichForm",
    "Time",
    "UnderdampedLangevin",
    "noise_term",
]
