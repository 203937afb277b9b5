"""Decoders: a latent path (and, where asked for, the encoder's context) in, features per bin out."""

from neuralsde.nn.decoders.mlp import MLPDecoder
from neuralsde.nn.decoders.transformer import TransformerDecoder
from neuralsde.nn.decoders.video import VideoDecoder

__all__ = ["MLPDecoder", "TransformerDecoder", "VideoDecoder"]
