"""Trains compressed weights to follow the network as it was, between the steps of compressing.

S. Han, H. Mao and W. J. Dally, arXiv 1510.00149, sections 2 and 3.3: what is left after pruning
is trained on, and then the values that weights share are. Here no labels are needed: the
network's own embeddings, as it was, are what is followed.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from facebench.architectures.errors import BadInputError
from facebench.architectures.registry import Architecture
from facebench.harness.models.compressed.coding import CompressionSetting
from facebench.harness.models.compressed.pruning import nearest, prune, shared_values
from facebench.harness.models.networks import Network
from facebench.harness.models.state_dicts import floating
from facebench.harness.stats.arrays import FloatArray
from facebench.harness.storage import cache, fingerprints, locks, writing
from facebench.harness.storage.progress import ProgressStep
from facebench.harness.training import checkpoint, loop
from facebench.harness.training.data.faces import load
from facebench.harness.training.data.memory import SHARE, held
from facebench.harness.training.data.training_faces import TrainingFaces
from facebench.harness.training.distillation import teacher_targets
from facebench.harness.training.log import NOBODY, LogRow, TrainingListener
from facebench.harness.training.loop import TrainingSpec
from facebench.harness.training.recipe import Recipe
from facebench.harness.training.state import TrainingState, begin

# Of what is left after pruning; shared values, which move a whole group, get a third of the rate.
RECIPE = Recipe(
    name="retrain",
    loss="none",
    teacher_weight=1.0,
    optimizer="adamw",
    learning_rate=1e-3,
    weight_decay=0.0,
    weight_decay_after_global=0.0,
    schedule="cosine",
    warmup=0.05,
    batch=128,
    least_iterations=0,
    most_iterations=10**8,
    precision="bf16",
)
_SHARED_RATE = 0.3

# Of the cache: the state of each training, finished or not.
_KIND = "retrained"
_CHECKPOINT = "checkpoint.pt"
_KEPT_EVERY_S = 60.0

State = Mapping[str, FloatArray]
# What a gradient becomes before a step: of one parameter, of the same shape.
_Change = Callable[[Tensor], Tensor]


@dataclass
class Retraining:
    """It trains a network's weights in each step of compressing them.

    Attributes:
        architecture: of the network.
        weights: as they were, float32 of shapes `(...)`, by name.
        faces: what it is trained on.
        targets: the network's own embeddings of these and of their mirrors, `(N, 2, E)`.
        epochs: after pruning; half as many after sharing.
        listener: told how it goes.
        steps: of all settings that it will be asked for, which the listener is told; 0 where
            these are not known.
    """

    architecture: Architecture
    weights: State
    faces: TrainingFaces
    targets: Tensor
    epochs: float
    listener: TrainingListener = NOBODY
    steps: int = 0
    _done: int = 0
    _pruned: dict[float, State] = field(default_factory=dict)

    def __call__(self, setting: CompressionSetting) -> State:
        """Return the weights, float32 of shapes `(...)`, by name, pruned and shared as is wanted.

        Raises:
            DivergedError: a loss is no number any more.
        """
        if setting.sparsity not in self._pruned:
            self._pruned[setting.sparsity] = self._prune(setting.sparsity)
        return self._share(self._pruned[setting.sparsity], setting)

    def steps_of(self, settings: Sequence[CompressionSetting]) -> int:
        """Return how many steps settings take together."""
        pruned = len({setting.sparsity for setting in settings if setting.sparsity})
        after_pruning, after_sharing = (
            replace(RECIPE, epochs=epochs).iterations(len(self.faces))
            for epochs in (self.epochs, self.epochs / 2)
        )
        return pruned * after_pruning + len(settings) * after_sharing

    def _prune(self, sparsity: float) -> State:
        if not sparsity:
            return self.weights
        state = {
            name: prune(array, sparsity) if array.ndim > 1 else array
            for name, array in self.weights.items()
        }
        left = {name: torch.from_numpy(a != 0) for name, a in state.items() if a.ndim > 1}
        changes: dict[str, _Change] = {
            name: partial(torch.mul, mask) for name, mask in left.items()
        }
        self.listener.say(f"trains what is left at a sparsity of {sparsity:g}")
        return self._trained(state, changes, RECIPE, self.epochs)

    def _share(self, state: State, setting: CompressionSetting) -> State:
        ties = {
            name: Tie.of(array, setting.bits) for name, array in state.items() if array.ndim > 1
        }
        tied = dict(state) | {name: tie.values(state[name]) for name, tie in ties.items()}
        rate = _SHARED_RATE * RECIPE.learning_rate
        changes: dict[str, _Change] = {name: tie.mean for name, tie in ties.items()}
        self.listener.say(
            f"trains shared values at a sparsity of {setting.sparsity:g} with {setting.bits} bits"
        )
        found = self._trained(tied, changes, replace(RECIPE, learning_rate=rate), self.epochs / 2)
        # The last bit of numbers that went through the same steps may differ.
        return dict(found) | {name: tie.values(found[name]) for name, tie in ties.items()}

    def _trained(
        self, state: State, changes: Mapping[str, _Change], recipe: Recipe, epochs: float
    ) -> State:
        recipe = replace(recipe, epochs=epochs)
        people, size = len(self.faces.identities), self.targets.shape[2]
        training = begin(self.architecture, recipe, 0, people, size)
        network = training.student.network
        network.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()}, strict=False)
        parameters = dict(network.named_parameters())
        hooks = [
            parameters[name].register_hook(change)  # type: ignore[no-untyped-call]
            for name, change in changes.items()
        ]
        spec = TrainingSpec(self.faces, recipe, 0, self.architecture.input_size, self.targets)
        steps = self.steps or self._done + spec.steps
        keeper = _RetrainingWatcher(
            self._key(state, recipe), spec.steps, partial(self._tell, self._done, steps)
        )
        if keeper.go_on(training):
            self.listener.say(f"goes on at step {training.step:,} of {spec.steps:,}")
        loop.run(training, spec, keeper)
        self._done += spec.steps
        for hook in hooks:
            hook.remove()
        return _weights(network)

    def _tell(self, before: int, steps: int, row: LogRow) -> None:
        self.listener.row(replace(row, step=before + row.step), steps)

    def _key(self, state: State, recipe: Recipe) -> str:
        """Return the hash of all that a training depends on: zeros and groups lie in the state."""
        given = {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in state.items()}
        return cache.digest(
            self.architecture.name,
            given,
            hashlib.sha256(self.targets.numpy().tobytes()).hexdigest(),
            self.faces.digest,
            recipe.facts(),
            fingerprints.code(__name__),
        )


@dataclass(frozen=True, eq=False)
class Tie:
    """It says which of a layer's weights share a value.

    Attributes:
        groups: `(N,)`; the group of each weight, 0 of those that are zero.
        counts: `(G,)`; weights of each group.
    """

    groups: Tensor
    counts: Tensor

    @classmethod
    def of(cls, weights: FloatArray, bits: int) -> Tie:
        """Return the groups of a layer's weights, of any shape `(...)`, with 2^bits values."""
        flat = weights.ravel()
        groups = np.zeros(flat.size, np.int64)
        places = np.flatnonzero(flat)
        if len(places):
            groups[places] = 1 + nearest(flat[places], shared_values(flat[places], bits))
        return cls(torch.from_numpy(groups), torch.from_numpy(np.bincount(groups)))

    def mean(self, gradient: Tensor) -> Tensor:
        """Return of gradients `(...)` each group's mean, and nothing for zeros."""
        sums = torch.bincount(self.groups, gradient.flatten(), len(self.counts))
        means = sums / self.counts.clamp_min(1)
        means[0] = 0
        return means.to(gradient.dtype)[self.groups].view(gradient.shape)

    def values(self, weights: FloatArray) -> FloatArray:
        """Return weights of shape `(...)` with each group's mean for its weights."""
        found = self.mean(torch.from_numpy(np.ascontiguousarray(weights))).numpy()
        return np.asarray(found, np.float32)


class _RetrainingWatcher:
    """It is a watcher that keeps the state in the cache, and passes rows of the log on.

    Args:
        key: of the training, in the cache.
        steps: of this training.
        tell: takes rows.
    """

    def __init__(self, key: str, steps: int, tell: Callable[[LogRow], None]) -> None:
        self._path = cache.root() / _KIND / key / _CHECKPOINT
        self._identity = {"training": key}
        self._steps, self.row = steps, tell
        self._kept = time.monotonic()

    def go_on(self, state: TrainingState) -> bool:
        """Put a state where the last run of this training left it, if that is there and whole."""
        try:
            kept = checkpoint.load(self._path, self._identity, state.ranks.device)
        except BadInputError:
            return False
        if kept is None:
            return False
        locks.mark(cache.root(), self._path.parent)
        state.restore(kept)
        return True

    def rest(self, state: TrainingState, epoch_done: bool) -> None:
        """See `loop.TrainingWatcher`."""
        if state.step < self._steps and time.monotonic() - self._kept < _KEPT_EVERY_S:
            return
        try:
            locks.begin(cache.root())
            writing.folder(self._path.parent, below=cache.root())
        except OSError as error:
            raise cache.unwritable(error) from error
        checkpoint.save(self._path, self._identity, state.facts())
        self._kept = time.monotonic()


def retrained(
    network: Network,
    data: Path,
    epochs: float,
    settings: Sequence[CompressionSetting],
    listener: TrainingListener = NOBODY,
) -> dict[CompressionSetting, State]:
    """Train a network's weights on faces for each way of compressing them.

    What is interrupted goes on where it was, for a week: each training's state is kept in the
    cache.

    Args:
        network: registered, with trained weights.
        data: the faces, as `facebench train` takes them.
        epochs: after pruning; half as many after sharing.
        settings: the ways.
        listener: told how it goes.

    Returns:
        Weights, float32 of shapes `(...)`, by name, for each of the settings.

    Raises:
        RefusedError: the weights are random.
        BadInputError: the faces are not as they should be, or fewer than a batch.
        DivergedError: a loss is no number any more.
    """
    found = load(data, progress=ProgressStep(listener, "reads"), least_people=1)
    if len(found) < RECIPE.batch:
        raise BadInputError(
            f"{data} has {len(found):,} images, and --retrain takes a batch of {RECIPE.batch} at "
            "least: add some; whose they are does not matter"
        )
    faces = held(found, SHARE)
    targets = teacher_targets(network, faces, ProgressStep(listener, "teacher"))
    weights = _weights(network.module())
    training = Retraining(network.architecture(), weights, faces, targets, epochs, listener)
    training.steps = training.steps_of(settings)
    return {setting: training(setting) for setting in settings}


def _weights(network: nn.Module) -> State:
    return {
        name: np.ascontiguousarray(tensor.numpy(), np.float32)
        for name, tensor in floating(network.state_dict()).items()
    }
