"""Functions of continuous time, one per trial and channel, made from the encoder's context."""

from neuralsde.nn.curves.attention import AttentionCurves
from neuralsde.nn.curves.base import AbstractCurves, Curve
from neuralsde.nn.curves.kernel import KernelCurves
from neuralsde.nn.curves.spline import SplineCurves

__all__ = ["AbstractCurves", "AttentionCurves", "Curve", "KernelCurves", "SplineCurves"]
