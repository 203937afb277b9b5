"""Observation models: features in, a distribution over the observations out."""

from neuralsde.likelihoods.base import CountLikelihood, Likelihood
from neuralsde.likelihoods.bernoulli import Bernoulli
from neuralsde.likelihoods.categorical import Categorical
from neuralsde.likelihoods.contaminated import ContaminatedGaussian
from neuralsde.likelihoods.gaussian import AbstractGaussian, Gaussian
from neuralsde.likelihoods.heteroscedastic import HeteroscedasticGaussian
from neuralsde.likelihoods.negative_binomial import NegativeBinomial
from neuralsde.likelihoods.poisson import Poisson

__all__ = [
    "AbstractGaussian",
    "Bernoulli",
    "Categorical",
    "ContaminatedGaussian",
    "CountLikelihood",
    "Gaussian",
    "HeteroscedasticGaussian",
    "Likelihood",
    "NegativeBinomial",
    "Poisson",
]
