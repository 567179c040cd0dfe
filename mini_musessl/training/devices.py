"""Where to compute, and in which type of number.

Chapter: 6a.
"""

from __future__ import annotations

import torch


def choose_device(name: str = "auto") -> torch.device:
    """Find the device: a GPU where there is one and nothing else was asked for.

    Raises:
        ValueError: "cuda" on a machine without it.

    Chapter: 6a.
    """
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise ValueError('device="cuda" needs a GPU that PyTorch can see; found none. Use device="auto" or "cpu".')
    return torch.device("cuda" if has_gpu and name != "cpu" else "cpu")


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Find the type of number for matrix products: bfloat16 where it is built in and nothing else was asked for.

    A CPU without it imitates it, which is slower than float32.

    Args:
        name: "float32", "bfloat16" or "auto".
        device: where the model will run.

    Returns:
        The type of number.

    Chapter: 6a.
    """
    if name != "auto":
        return getattr(torch, name)
    if device.type == "cuda":
        has_bfloat16 = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        # PyTorch before 2.10 does not say what the CPU can do.
        abilities = getattr(torch.cpu, "get_capabilities", dict)()
        has_bfloat16 = abilities.get("avx512_bf16", False) or abilities.get("amx_bf16", False)
    return torch.bfloat16 if has_bfloat16 else torch.float32
