"""The door between arrays and tensors: what a batch holds becomes tensors where the model lies.

Chapter: 6a (the loop).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn


def to_device_of(model: nn.Module, *arrays: np.ndarray) -> list[Tensor]:
    """Return arrays as tensors on the device of a model's weights.

    Args:
        model: has at least one weight.
        *arrays: numbers or truth values of any shape; a tensor on a CPU shares their memory.
    """
    device = next(model.parameters()).device
    return [torch.from_numpy(array).to(device) for array in arrays]
