"""Observation models: features in, a distribution over the observations out."""

from neuralsde.likelihoods.base import CountLikelihood, Likelihood
from neuralsde.likelihoods.bernoulli import Bernoulli
from neuralsde.likelihoods.categorical import Categorical
from neuralsde.likelihoods.gaussian import Gaussian
from neuralsde.likelihoods.negative_binomial import NegativeBinomial
from neuralsde.likelihoods.poisson import Poisson

__all__ = ["Bernoulli", "Categorical", "CountLikelihood", "Gaussian", "Likelihood", "NegativeBinomial", "Poisson"]
