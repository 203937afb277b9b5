"""Decoders: a latent path (and, where asked for, the encoder's context) in, features per bin out."""

from neuralsde.nn.decoders.mlp import MLPDecoder
from neuralsde.nn.decoders.mtan import MTANDecoder
from neuralsde.nn.decoders.pooled import PooledDecoder
from neuralsde.nn.decoders.published_classifier import PublishedClassifier
from neuralsde.nn.decoders.transformer import TransformerDecoder
from neuralsde.nn.decoders.video import VideoDecoder

__all__ = ["MLPDecoder", "MTANDecoder", "PooledDecoder", "PublishedClassifier", "TransformerDecoder", "VideoDecoder"]
