"""The processes of one training run, and the sums that they form together.

A run has one process, or several that torchrun started, each with a part of
every batch and, where a loss has class centres, with a part of these.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

# Its functions take the process group that there is when it is imported as their default, and
# hold it for ever: imported in a run, it keeps the group's threads alive after the group.
import torch.distributed.nn.functional
from torch import Tensor

from facebench.architectures.errors import BadInputError

Made = TypeVar("Made")


@dataclass(frozen=True)
class Ranks:
    """It is this process among those of its run.

    Attributes:
        rank: its number, from 0.
        world: how many there are.
        device: what it computes on.
    """

    rank: int = 0
    world: int = 1
    device: str = "cpu"

    @property
    def first(self) -> bool:
        """Say whether this process is the one that writes and prints."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """Return the part of `count` things that is this process's: as even as can be, none empty.

        Raises:
            BadInputError: there are fewer than processes.

        Example:
            >>> [Ranks(rank, 3).share(8) for rank in range(3)]
            [slice(0, 2, None), slice(2, 5, None), slice(5, 8, None)]
        """
        if count < self.world:
            raise BadInputError(
                f"{count} identities cannot be shared out to {self.world} processes: start fewer"
            )
        start, stop = (count * rank // self.world for rank in (self.rank, self.rank + 1))
        return slice(start, stop)

    def gather(self, tensor: Tensor) -> Tensor:
        """Join the `(B, ...)` of all processes into `(world * B, ...)`, in the order of ranks.

        Each process's gradient of it is taken for a part of the whole: they are
        summed, and multiplied by `world` because `DistributedDataParallel` divides by it.
        """
        if self.world == 1:
            return tensor
        gathered: Tensor = _Gather.apply(tensor, self)
        return gathered

    def total(self, tensor: Tensor) -> Tensor:
        """Sum a tensor of any shape over processes; sum and gradient are the same on each."""
        if self.world == 1:
            return tensor
        total: Tensor = _Total.apply(tensor)
        return total

    def joint(self, tensor: Tensor) -> Tensor:
        """Sum a tensor of any shape over processes; gradients are summed too.

        It is for sums that each process goes on with in its own way.
        """
        if self.world == 1:
            return tensor
        joint: Tensor = _Joint.apply(tensor)
        return joint

    def largest(self, tensor: Tensor) -> Tensor:
        """Return the largest over processes of a tensor of any shape, without a gradient."""
        return self._reduced(tensor, dist.ReduceOp.MAX)

    def mean(self, tensor: Tensor) -> Tensor:
        """Return the mean over processes of a tensor of any shape, without a gradient."""
        return self._reduced(tensor, dist.ReduceOp.SUM) / self.world

    def _reduced(self, tensor: Tensor, operation: dist.ReduceOp.RedOpType) -> Tensor:
        reduced = tensor.detach().clone()
        if self.world > 1:
            dist.all_reduce(reduced, operation)
        return reduced

    def rows(self, tensor: Tensor, count: int) -> Tensor:
        """Join the shares of all processes into the whole `(count, ...)`, without a gradient."""
        if self.world == 1:
            return tensor.detach()
        shares = [Ranks(rank, self.world).share(count) for rank in range(self.world)]
        lengths = [share.stop - share.start for share in shares]
        padded = tensor.new_zeros(max(lengths), *tensor.shape[1:])
        padded[: len(tensor)] = tensor.detach()
        parts = [torch.empty_like(padded) for _ in shares]
        dist.all_gather(parts, padded)
        return torch.cat([part[:length] for part, length in zip(parts, lengths, strict=True)])

    def in_turn(self, work: Callable[[], Made]) -> Made:
        """Return what `work` makes, by the first process first: the others find it in the cache."""
        if not self.first:
            self.wait()
            return work()
        made = work()
        self.wait()
        return made

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.world > 1:
            dist.barrier()


ALONE = Ranks()


@contextmanager
def joined() -> Iterator[Ranks]:
    """Join the processes that torchrun started, or run alone; on a GPU where there is one."""
    local = int(os.environ.get("LOCAL_RANK", "0"))
    cuda = torch.cuda.is_available()
    device = f"cuda:{local}" if cuda else "cpu"
    if cuda:
        torch.cuda.set_device(local)
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Ranks(device=device)
        return
    # One may embed, or score, for hours while the others wait.
    dist.init_process_group("nccl" if cuda else "gloo", timeout=timedelta(hours=12))
    try:
        yield Ranks(dist.get_rank(), world, device)
    finally:
        # Its threads end where nobody else holds it. One that lets go of a tensor while the
        # interpreter ends aborts the process: "terminate called without an active exception".
        dist.destroy_process_group()


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, tensor: Tensor, ranks: Ranks) -> Tensor:
        context.ranks, context.rows = ranks, len(tensor)
        parts = [torch.empty_like(tensor) for _ in range(ranks.world)]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        summed = gradient.clone()
        dist.all_reduce(summed)
        own = summed[context.ranks.rank * context.rows :][: context.rows]
        return own * context.ranks.world, None


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, tensor: Tensor) -> Tensor:
        return _summed(tensor)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return gradient


class _Joint(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, tensor: Tensor) -> Tensor:
        return _summed(tensor)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return _summed(gradient)


def _summed(tensor: Tensor) -> Tensor:
    total = tensor.clone()
    dist.all_reduce(total)
    return total
