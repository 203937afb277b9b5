"""Latent processes, what they cost, and the objectives that train them."""

from neuralsde.inference.context_alone import ContextAlone
from neuralsde.inference.control import BoundedControl, Control, LangevinPull, Pull
from neuralsde.inference.coordinated_dropout import CoordinatedDropout, SampleValidation
from neuralsde.inference.driven_sde import DrivenSDE
from neuralsde.inference.gaussian_states import GaussianStates
from neuralsde.inference.latent_ode import LatentODE
from neuralsde.inference.latent_sde import LatentSDE
from neuralsde.inference.linear_gaussian import LinearGaussianSDE
from neuralsde.inference.matched_sde import MatchedSDE
from neuralsde.inference.neural_cde import NeuralCDE
from neuralsde.inference.objectives import ELBO, SDEMatching
from neuralsde.inference.path import Estimator, LatentPath, LatentProcess
from neuralsde.inference.published_iwae import PublishedIWAE
from neuralsde.inference.released_langevin import ReleasedLangevin

__all__ = [
    "ELBO",
    "BoundedControl",
    "ContextAlone",
    "Control",
    "CoordinatedDropout",
    "DrivenSDE",
    "Estimator",
    "GaussianStates",
    "LangevinPull",
    "LatentODE",
    "LatentPath",
    "LatentProcess",
    "LatentSDE",
    "LinearGaussianSDE",
    "MatchedSDE",
    "NeuralCDE",
    "PublishedIWAE",
    "Pull",
    "ReleasedLangevin",
    "SDEMatching",
    "SampleValidation",
]
