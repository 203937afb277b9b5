"""Data with ground truth: a system that moves, an observation of it, trials of both."""

from neuralsde.datamodules.simulated.chaotic import Chaotic
from neuralsde.datamodules.simulated.fractional import (
    FractionalOU,
    fractional_covariance,
    fractional_gaussian_noise,
    fractional_ou_covariance,
)
from neuralsde.datamodules.simulated.module import SimulatedData
from neuralsde.datamodules.simulated.observations import AbstractObservation, Bernoulli, Categorical, Gaussian, Poisson
from neuralsde.datamodules.simulated.stochastic import Stochastic
from neuralsde.datamodules.simulated.system import AbstractSystem

__all__ = [
    "AbstractObservation",
    "AbstractSystem",
    "Bernoulli",
    "Categorical",
    "Chaotic",
    "FractionalOU",
    "Gaussian",
    "Poisson",
    "SimulatedData",
    "Stochastic",
    "fractional_covariance",
    "fractional_gaussian_noise",
    "fractional_ou_covariance",
]
