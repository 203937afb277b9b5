from torch import Tensor, nn


class BatchNorm(nn.BatchNorm1d):
    """`torch.nn.BatchNorm1d` of (row, feature) or (row, feature, bin), by its running statistics where a feature has one value
    alone, which has no others to vary from."""

    def forward(self, input: Tensor) -> Tensor:
        if input.numel() > self.num_features:
            return super().forward(input)
        return nn.functional.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
