"""neuralsde: train neural SDEs and latent dynamics with PyTorch and Lightning.

>>> run = neuralsde.load("runs/lorenz/langevinflow/2026-01-31_12-00-00")
>>> run.predict().rates
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Run", "load"]

if TYPE_CHECKING:
    from neuralsde.evaluation.load import Run, load


def __getattr__(name: str) -> Any:
    # `import neuralsde` stays instant: torch loads with the first name that needs it.
    if name in __all__:
        from neuralsde.evaluation import load as module

        return getattr(module, name)
    raise AttributeError(f"module 'neuralsde' has no attribute {name!r}")
