"""Models: parts composed by a config."""

from neuralsde.models.latent import LatentModel, ModelOutput

__all__ = ["LatentModel", "ModelOutput"]
