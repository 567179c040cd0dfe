"""Several processes, one training: what torchrun starts shares the batches of each update.

``torchrun --nproc-per-node 2 program.py`` starts the same program twice and tells each its number in the environment.
Each process draws all batches, learns from its share of them, and adds its gradients to those of the others. All
weights then change alike, so they never need to be sent. Only the first process evaluates, reports and saves.

Chapter: 6a.
"""

import atexit
import os
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn


@dataclass(frozen=True)
class Processes:
    """The processes that train together; alone by default."""

    rank: int = 0  # number of this process; the first, 0, evaluates, reports and saves
    count: int = 1  # how many there are

    def share(self, n_batches: int) -> range:
        """Return the numbers of the batches that this process learns from."""
        return range(self.rank, n_batches, self.count)

    def sum(self, number: float) -> float:
        """Return the sum of a number over all processes."""
        total = torch.tensor([number], dtype=torch.float64)
        if self.count > 1:
            distributed.all_reduce(total)
        return total.item()

    def sum_tensors(self, tensors: list[Tensor]) -> None:
        """Replace tensors by their sums over all processes, in one message."""
        if self.count > 1:
            flat = torch.cat([tensor.flatten() for tensor in tensors])
            distributed.all_reduce(flat)
            parts = flat.split([tensor.numel() for tensor in tensors])
            torch._foreach_copy_(tensors, [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)])

    def copy_first(self, model: nn.Module) -> None:
        """Give every process the weights of the first."""
        for weight in model.parameters() if self.count > 1 else ():
            distributed.broadcast(weight.data, 0)

    def check_same_update(self, update: int) -> None:
        """Refuse processes that would go on from different updates."""
        if self.sum(update) != update * self.count:
            raise ValueError(
                f"All processes must begin at the same update; number {self.rank} would begin at {update}. Let them "
                "see the same folder."
            )


def join_processes(n_batches: int, device: torch.device) -> Processes:
    """Meet the other processes that torchrun started, to share so many batches per update; alone without torchrun."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Processes()
    if n_batches % count:
        raise ValueError(
            f"n_batches must be a multiple of the number of processes, {count}, so that each has as many batches per "
            f"update; found {n_batches}. Change n_batches, or start as many processes as divide it."
        )
    if missing := [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]:
        raise ValueError(
            f"WORLD_SIZE={count} in the environment says that torchrun started this process, which would have set "
            f"{', '.join(missing)} too. Start it with torchrun, or remove WORLD_SIZE."
        )
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if not distributed.is_initialized():
        distributed.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
        atexit.register(distributed.destroy_process_group)
    return Processes(distributed.get_rank(), count)
