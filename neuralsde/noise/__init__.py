"""Driving noise: Brownian increments with Lévy areas on fixed grids, and a Brownian tree for times not known ahead."""

from neuralsde.noise.base import AbstractNoise, FixedPath
from neuralsde.noise.brownian import Brownian
from neuralsde.noise.increments import Increments, LevyArea
from neuralsde.noise.space_space import space_space_area
from neuralsde.noise.tree import BrownianTree

__all__ = ["AbstractNoise", "Brownian", "BrownianTree", "FixedPath", "Increments", "LevyArea", "space_space_area"]
