"""The loop: batches in, steps done, and what is said, kept and looked at on the way."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from facebench.architectures.errors import FacebenchError
from facebench.harness.training.allocator import keep_freed_memory
from facebench.harness.training.arithmetic import arithmetic, named, use_tensor_cores
from facebench.harness.training.data.batches import Batch, batches, batches_in
from facebench.harness.training.data.feed import Feed, feed
from facebench.harness.training.data.training_faces import TrainingFaces
from facebench.harness.training.kernels.layers import faster_layers
from facebench.harness.training.log import LogRow
from facebench.harness.training.losses.distillation import distillation
from facebench.harness.training.recipe import Recipe
from facebench.harness.training.state import TrainingState, parameters

# Steps of a row of the log. On a GPU losses are looked at no more often, as each look waits
# for all that is in work there.
WINDOW = 20


# From pixels to embeddings, and what the teacher's are compared with.
Forward = Callable[[Tensor], tuple[Tensor, Tensor]]


class DivergedError(FacebenchError):
    """A loss that is no number any more."""

    def __init__(self, sentence: str, indices: list[int]) -> None:
        super().__init__(sentence)
        self.indices = indices


@dataclass(frozen=True)
class TrainingSpec:
    """It says what a run trains, on what, and how.

    Attributes:
        faces: the training set.
        recipe: how it is gone through.
        seed: of order and augmentation.
        input_size: height and width of the network's input.
        targets: the teacher's embeddings of each image and of its mirror `(N, 2, E)`,
            float32; None without a teacher.
        workers: processes that decode images, where the device does not hold all of them.
        compiled: whether torch compiles all from pixels to embeddings.
    """

    faces: TrainingFaces
    recipe: Recipe
    seed: int
    input_size: tuple[int, int]
    targets: Tensor | None = None
    workers: int = 0
    compiled: bool = False

    @property
    def steps(self) -> int:
        """Return the steps of the whole run."""
        return self.recipe.iterations(len(self.faces))

    @property
    def epoch_length(self) -> int:
        """Return the steps of an epoch."""
        return batches_in(self.faces, self.recipe.batch)


class TrainingWatcher(Protocol):
    """It is told how a run goes; each is called in every process at the same step."""

    def row(self, row: LogRow) -> None:
        """Take the newest row: after every `WINDOW` steps, and at the end of each epoch."""

    def rest(self, state: TrainingState, epoch_done: bool) -> None:
        """Keep or evaluate the state, which is sound here, right after `row`."""


def run(state: TrainingState, spec: TrainingSpec, watcher: TrainingWatcher) -> None:
    """Train from wherever the state is to the end.

    On one process on a CPU the same spec from the same state gives the same bits, whether or
    not it was stopped on the way.

    Raises:
        DivergedError: the loss is no number; the message says at which step and why.
        BadInputError: an image can't be read, or there are too few.
    """
    if state.ranks.device == "cpu":
        keep_freed_memory()
    else:
        use_tensor_cores()
    if spec.compiled:
        state.student.compile()  # and not the network, which evaluation runs otherwise
    fed = _feed(state, spec)
    with (
        _layers(state, spec),
        _forward(state) as forward,
        contextlib.closing(_batches(state, spec, fed)) as dealt,
    ):
        while state.step < spec.steps:
            _epoch(state, spec, dealt, forward, fed, watcher)


def _layers(state: TrainingState, spec: TrainingSpec) -> contextlib.AbstractContextManager[None]:
    """Return the context in which a single process on a CPU trains."""
    if state.ranks.device != "cpu" or state.ranks.world > 1 or spec.compiled:
        return contextlib.nullcontext()
    kind = arithmetic(spec.recipe.precision, state.ranks.device)
    return faster_layers(state.student.network, kind == torch.bfloat16)


def _epoch(
    state: TrainingState,
    spec: TrainingSpec,
    dealt: Iterator[Batch],
    forward: Forward,
    fed: Feed,
    watcher: TrainingWatcher,
) -> None:
    """To the end of the epoch that the state is in, or of the run."""
    epoch = state.step // spec.epoch_length
    end = min((epoch + 1) * spec.epoch_length, spec.steps)
    window = _Window(state, spec, epoch)
    while state.step < end:
        batch = window.wait_for(dealt)
        rate = spec.recipe.rate(state.step, spec.steps)
        # Whatever a network draws (dropout) hangs on the step alone.
        torch.manual_seed(hash((spec.seed, state.step, state.ranks.rank)))
        window.add(step(state, spec, forward, fed, batch, rate), batch, rate)
        if window.full or state.step == end:
            watcher.row(window.close())
            watcher.rest(state, epoch_done=state.step == end)
            window = _Window(state, spec, epoch)


def step(
    state: TrainingState,
    spec: TrainingSpec,
    forward: Forward,
    fed: Feed,
    batch: Batch,
    rate: float,
) -> Tensor:
    """Return one step of the optimizers. Returns the loss, a scalar of this process."""
    state.rate(rate)
    loss = _loss(state, spec, forward, fed, batch)
    for optimizer in state.optimizers:
        optimizer.zero_grad(set_to_none=True)
    (loss * state.scale.factor).backward()  # type: ignore[no-untyped-call]
    if state.scale.settle(parameters(state) if state.scale.used else (), state.ranks):
        for optimizer in state.optimizers:
            optimizer.step()
    state.step += 1
    return loss.detach()


def _loss(
    state: TrainingState,
    spec: TrainingSpec,
    forward: Forward,
    fed: Feed,
    batch: Batch,
) -> Tensor:
    device, recipe = state.ranks.device, spec.recipe
    pixels = fed.images(batch).contiguous(memory_format=torch.channels_last)
    kind = arithmetic(recipe.precision, device)
    with torch.autocast(device.partition(":")[0], kind, enabled=kind != torch.float32):
        embeddings, projected = forward(pixels)
    loss = torch.zeros((), device=device)
    if state.classification is not None:
        loss = loss + state.classification(embeddings, batch.labels.to(device, non_blocking=True))
    targets = fed.targets(batch)
    if targets is not None and recipe.teacher_weight:
        loss = loss + recipe.teacher_weight * distillation(projected, targets)
    return loss


@contextlib.contextmanager
def _forward(state: TrainingState) -> Iterator[Forward]:
    """Yield the student; with several processes, in torch's wrapper that averages gradients."""
    student: nn.Module = state.student.train()
    if state.classification is not None:
        state.classification.train()
    if state.ranks.world == 1:
        yield student
        return
    # BN's buffers are the same in all processes, and stay so.
    averaging = DistributedDataParallel(student, forward_sync_buffers=False)
    try:
        yield averaging
    finally:
        # It lies in cycles of references and holds the process group, whose threads must have
        # ended when the interpreter does: one that still lets go of a tensor then aborts it.
        vars(averaging).clear()


def _feed(state: TrainingState, spec: TrainingSpec) -> Feed:
    options = spec.recipe.augmentation
    return feed(spec.faces, state.ranks.device, spec.input_size, options, spec.targets)


def _batches(state: TrainingState, spec: TrainingSpec, fed: Feed) -> Generator[Batch]:
    """Return all batches from where the state is to the end."""
    recipe, ranks = spec.recipe, state.ranks
    epoch, start = divmod(state.step, spec.epoch_length)
    return batches(
        spec.faces,
        recipe.batch,
        epoch,
        spec.seed,
        spec.workers,
        recipe.flip,
        start=start,
        rank=ranks.rank,
        world=ranks.world,
        pin=ranks.device != "cpu",
        epochs=-(-spec.steps // spec.epoch_length) - epoch,
        decoded=not fed.holds,
    )


@dataclass
class _Window:
    """Steps since the last row, whose losses nobody has looked at yet."""

    state: TrainingState
    spec: TrainingSpec
    epoch: int
    began: float = field(default_factory=time.perf_counter)
    waited: float = 0.0
    losses: list[Tensor] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    indices: list[Tensor] = field(default_factory=list)

    @property
    def full(self) -> bool:
        """Return whether a row is due; on a CPU too once a loss is no number: looking costs
        nothing.
        """
        if len(self.losses) == WINDOW:
            return True
        if self.state.ranks.device != "cpu" or self.state.ranks.world > 1:
            return False
        return not math.isfinite(self.losses[-1].item())

    def wait_for(self, dealt: Iterator[Batch]) -> Batch:
        """Return the next batch."""
        began = time.perf_counter()
        batch = next(dealt)
        self.waited += time.perf_counter() - began
        return batch

    def add(self, loss: Tensor, batch: Batch, rate: float) -> None:
        """Note a step that is done."""
        self.losses.append(loss)
        self.rates.append(rate)
        self.indices.append(batch.indices)

    def close(self) -> LogRow:
        """Look at the losses.

        Raises:
            DivergedError: one is no number.
        """
        losses = self.state.ranks.mean(torch.stack(self.losses)).tolist()
        seconds = time.perf_counter() - self.began
        bad = next((i for i, loss in enumerate(losses) if not math.isfinite(loss)), None)
        if bad is not None:
            raise self._diverged(bad, losses)
        images = len(losses) * self.spec.recipe.batch
        return LogRow(
            self.state.step,
            self.epoch,
            self.rates[-1],
            sum(losses) / len(losses),
            images / seconds,
            self.waited / seconds,
        )

    def _diverged(self, bad: int, losses: list[float]) -> DivergedError:
        step = self.state.step - len(losses) + bad + 1
        indices = self.indices[bad].tolist()
        shown = ", ".join(map(str, indices[:5])) + (", ..." if len(indices) > 5 else "")
        before = ", ".join(f"{loss:.4g}" for loss in losses[max(bad - 3, 0) : bad])
        recipe = self.spec.recipe
        used = named(arithmetic(recipe.precision, self.state.ranks.device))
        return DivergedError(
            f"the loss is {losses[bad]} at step {step} (epoch {self.epoch}) with a learning rate "
            f"of {self.rates[bad]:.4g} in {used}, on images {shown}"
            f"{f', after {before}' if before else ''}: use a smaller learning_rate"
            f"{', a longer warmup' if recipe.warmup < 0.1 else ''}"
            f"{'' if used == 'fp32' else ', or fp32'}",
            indices,
        )
