"""neuralsde: train neural SDEs and latent dynamics with PyTorch and Lightning."""

__version__ = "0.1.0"
