"""A convolution that takes steps, with right gradients on images of one column, too.

    y = W * x        where x is one column wide, only the middle column of an odd kernel meets data

For such images oneDNN leaves the gradient of the other columns as it finds the memory, in bfloat16 with a
stride of 2 (seen with torch 2.15 on processors with and without AMX): any number, infinities too. There the
kernel's middle column is applied by itself, which gives the same values, and gradients of 0 for what meets
padding alone. Ours.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class StridedConv2d(nn.Conv2d):
    """`torch.nn.Conv2d` for odd kernels padded by half their size."""

    def forward(self, input: Tensor) -> Tensor:
        """(batch, channels, height, width) → (batch, channels, rows, columns)."""
        if input.shape[-1] > 1 or self.kernel_size[1] == 1:
            return super().forward(input)
        middle = self.kernel_size[1] // 2
        assert not isinstance(self.padding, str)
        weight = self.weight[..., middle : middle + 1]
        return F.conv2d(
            input, weight, self.bias, self.stride, (self.padding[0], 0), self.dilation, self.groups
        )
