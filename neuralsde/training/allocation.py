"""A limit on the tensors that are made while a stranger's model is built."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from neuralsde.errors import CheckpointError

LEAST_BYTES = 1 << 28
"""What any model may take: buffers that are not in its checkpoint, and what is thrown away while it is built."""
TIMES = 4
"""A model may make so many times the bytes of its own weights."""


class AllocationLimit(TorchDispatchMode):
    """Refuses to make new tensors beyond a number of bytes in all; each is measured on the `meta` device first.

    A config of a kilobyte may ask for a matrix of a terabyte, which would be written to before its weights are compared.

    Args:
        most_bytes: the limit.

    Raises:
        CheckpointError: the limit is passed; raised where the tensor would be made.
    """

    def __init__(self, most_bytes: int):
        super().__init__()
        self.left = self.most_bytes = most_bytes

    @classmethod
    def for_weights(cls, weights: Mapping[str, Tensor]) -> "AllocationLimit":
        """A limit for the model of these weights."""
        return cls(LEAST_BYTES + TIMES * sum(w.numel() * w.element_size() for w in weights.values()))

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        if any(argument.name == "device" for argument in func._schema.arguments):  # makes a tensor rather than reads some
            self._count(func(*args, **{**kwargs, "device": "meta"}))
        return func(*args, **kwargs)

    def _count(self, made: Any) -> None:
        if isinstance(made, Tensor):
            self.left -= made.numel() * made.element_size()
        if self.left < 0:
            raise CheckpointError(
                f"its config describes a model of more than {self.most_bytes / 1e6:.0f} MB, far more than the weights that "
                "it holds"
            )
