"""Driving noise: Brownian increments with Lévy areas on fixed grids, a Brownian tree for times not known ahead, and fractional
noise."""

from neuralsde.noise.base import AbstractNoise, FixedPath
from neuralsde.noise.brownian import Brownian
from neuralsde.noise.fractional import FractionalBrownian
from neuralsde.noise.fractional_weights import Fractional
from neuralsde.noise.increments import Increments, LevyArea
from neuralsde.noise.ou_bank import OUBank, Transition, run
from neuralsde.noise.outlook import Outlook
from neuralsde.noise.space_space import space_space_area
from neuralsde.noise.tree import BrownianTree

__all__ = [
    "AbstractNoise",
    "Brownian",
    "BrownianTree",
    "FixedPath",
    "Fractional",
    "FractionalBrownian",
    "Increments",
    "LevyArea",
    "OUBank",
    "Outlook",
    "Transition",
    "run",
    "space_space_area",
]
