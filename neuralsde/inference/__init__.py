"""Latent processes, what they cost, and the objectives that train them."""

from neuralsde.inference.controlled_langevin import ControlledLangevin
from neuralsde.inference.coordinated_dropout import CoordinatedDropout, SampleValidation
from neuralsde.inference.objectives import ELBO
from neuralsde.inference.released_langevin import ReleasedLangevin

__all__ = ["ELBO", "ControlledLangevin", "CoordinatedDropout", "ReleasedLangevin", "SampleValidation"]
