"""Encoders: observations in, one context vector per bin out."""

from neuralsde.nn.encoders.gru import GRUEncoder
from neuralsde.nn.encoders.released_gru import ReleasedGRUEncoder
from neuralsde.nn.encoders.time_attention import TimeAttentionEncoder
from neuralsde.nn.encoders.transformer import TransformerEncoder

__all__ = ["GRUEncoder", "ReleasedGRUEncoder", "TimeAttentionEncoder", "TransformerEncoder"]
