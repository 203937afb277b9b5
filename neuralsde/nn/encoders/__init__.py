"""Encoders: observations in, one context vector per bin out."""

from neuralsde.nn.encoders.control_path import ControlPath
from neuralsde.nn.encoders.convolution import ConvolutionEncoder
from neuralsde.nn.encoders.gru import GRUEncoder
from neuralsde.nn.encoders.gru_decay import GRUDecay
from neuralsde.nn.encoders.local import LocalEncoder
from neuralsde.nn.encoders.path_grid import PathGrid
from neuralsde.nn.encoders.path_gru import PathGRU
from neuralsde.nn.encoders.released_gru import ReleasedGRUEncoder
from neuralsde.nn.encoders.rocket import RocketEncoder
from neuralsde.nn.encoders.smoothing import SmoothingEncoder
from neuralsde.nn.encoders.summary import SummaryEncoder
from neuralsde.nn.encoders.time_attention import TimeAttentionEncoder
from neuralsde.nn.encoders.transformer import TransformerEncoder
from neuralsde.nn.encoders.two_scale_gru import TwoScaleGRUEncoder
from neuralsde.nn.encoders.video import VideoEncoder

__all__ = [
    "ControlPath",
    "ConvolutionEncoder",
    "GRUDecay",
    "GRUEncoder",
    "LocalEncoder",
    "PathGRU",
    "PathGrid",
    "ReleasedGRUEncoder",
    "RocketEncoder",
    "SmoothingEncoder",
    "SummaryEncoder",
    "TimeAttentionEncoder",
    "TransformerEncoder",
    "TwoScaleGRUEncoder",
    "VideoEncoder",
]
