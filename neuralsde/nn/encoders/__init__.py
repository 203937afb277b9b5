"""Encoders: observations in, one context vector per bin out."""

from neuralsde.nn.encoders.gru import GRUEncoder
from neuralsde.nn.encoders.released_gru import ReleasedGRUEncoder

__all__ = ["GRUEncoder", "ReleasedGRUEncoder"]
