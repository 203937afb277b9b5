from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.shares import normals


class InputNoise(nn.Module):
    """Adds Gaussian noise while training: for small noise a penalty on how steeply what follows changes with its input.

    Args:
        std: standard deviation, in the input's unit; 0 for none.

    Raises:
        ConfigError: `std` is negative or not finite.

    Reference: Bishop, *Training with noise is equivalent to Tikhonov regularization*, Neural Computation 7, 1995.
    """

    def __init__(self, std: float):
        super().__init__()
        if not 0 <= std < float("inf"):
            raise ConfigError(f"model.context_noise is {std}; give a standard deviation of at least 0.")
        self.std = std

    def forward(self, x: Tensor, trials: int = 0) -> Tensor:
        """`x` with noise; `trials` is the axis of the trials."""
        if not self.training or self.std == 0:
            return x
        return x + self.std * normals(x.shape, x, trials)

    def extra_repr(self) -> str:
        return f"std={self.std}"
