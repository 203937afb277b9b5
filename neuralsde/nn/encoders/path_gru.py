from jaxtyping import Bool, Float
from torch import Tensor, nn

from neuralsde.errors import ConfigError
from neuralsde.nn.dropout import Dropout
from neuralsde.nn.encoders.control_path import ControlPath


class PathGRU(nn.Module):
    """A gated recurrence over the filled-in observations: for irregular series whose values are near what fills them in.

    Args:
        input_size: observed channels.
        duration_s: how long a trial lasts, in the data's unit of time.
        hidden_size: units per direction.
        embedding_size: width of the layer in front of the recurrence.
        layers: stacked recurrent layers.
        direction: `both` ways in time, or `forward`, which is causal with `fill` forward.
        dropout: probability of dropping an entry of the context.
        fill: see `ControlPath`, as `slopes`.

    Raises:
        ConfigError: there is no such direction, or no such filling.
    """

    reads_mask = True

    def __init__(
        self,
        input_size: int,
        duration_s: float,
        hidden_size: int = 64,
        embedding_size: int = 64,
        layers: int = 1,
        direction: str = "both",
        dropout: float = 0.0,
        fill: str = "linear",
        slopes: int = 0,
    ):
        super().__init__()
        if direction not in ("both", "forward"):
            raise ConfigError(f"model.encoder.direction is {direction!r}; choose both or forward.")
        self.path = ControlPath(input_size, duration_s, fill, slopes=slopes, read_remaining=direction == "both")
        self.embed = nn.Sequential(nn.Linear(self.path.output_size, embedding_size), nn.SiLU())
        self.gru = nn.GRU(embedding_size, hidden_size, layers, batch_first=True, bidirectional=direction == "both")
        self.dropout = Dropout(dropout)
        self.output_size = hidden_size * (1 + (direction == "both"))

    def forward(
        self,
        values: Float[Tensor, "batch observed_bin channel"],
        seen: Bool[Tensor, "batch observed_bin channel"],
        times: Float[Tensor, "#batch bin"],
    ) -> Float[Tensor, "batch bin context"]:
        return self.dropout(self.gru(self.embed(self.path(values, seen, times)))[0])
