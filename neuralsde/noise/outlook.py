from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Outlook:
    r"""What a control may know of a noise that remembers, in each bin.

    Args:
        hurst: $H$, (bin, *#batch, noise).
        weights: $\omega$, (bin or 1, *#batch, noise, process).
        rates: $\gamma$, (process,).
        gain: what a unit of the steered increment moves the noise by, (bin, *#batch, noise).
    """

    hurst: Tensor
    weights: Tensor
    rates: Tensor
    gain: Tensor

    def forecast(self, lead: Float[Tensor, "bin *batch noise"]) -> Float[Tensor, "bin *batch noise process"]:
        r"""The weights of $\mathrm E[\hat B(t + \tau) - \hat B(t)]$ in the memory, $\omega_k (e^{-\gamma_k \tau} - 1)$."""
        decay = torch.expm1(-self.rates.to(lead.dtype) * lead[..., None])
        return self.weights.to(lead.dtype) * decay

    def share(self, ratio: Float[Tensor, "bin *batch noise"]) -> Float[Tensor, "bin *batch noise"]:
        r"""What of a move is to be made in this step where $h / \tau$ of a Brownian one would be: $(h / \tau)^{H + 1/2}$.

        The exact control towards an observation at lead $\tau$ scales so, by the self-similarity of the noise.
        """
        return ratio ** (self.hurst + 0.5).to(ratio.dtype)
