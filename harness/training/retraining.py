"""Trains compressed weights to follow the network as it was, between the steps of compressing.

S. Han, H. Mao and W. J. Dally, arXiv 1510.00149, sections 2 and 3.3: what is left after pruning
is trained on, and then the values that weights share are. Here no labels are needed: the
network's own embeddings, as it was, are what is followed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from facebench.architectures.registry import Architecture
from facebench.harness.models.compressed.coding import CompressionSetting
from facebench.harness.models.compressed.pruning import nearest, prune, shared_values
from facebench.harness.models.networks import Network
from facebench.harness.models.state_dicts import floating
from facebench.harness.stats.arrays import FloatArray
from facebench.harness.storage.progress import ProgressStep
from facebench.harness.training import loop
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
    """

    architecture: Architecture
    weights: State
    faces: TrainingFaces
    targets: Tensor
    epochs: float
    listener: TrainingListener = NOBODY
    _pruned: dict[float, State] = field(default_factory=dict)

    def __call__(self, setting: CompressionSetting) -> State:
        """Return the weights, float32 of shapes `(...)`, by name, pruned and shared as is wanted.

        Raises:
            DivergedError: a loss is no number any more.
        """
        if setting.sparsity not in self._pruned:
            self._pruned[setting.sparsity] = self._prune(setting.sparsity)
        return self._share(self._pruned[setting.sparsity], setting.bits)

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
        return self._trained(state, changes, RECIPE, self.epochs)

    def _share(self, state: State, bits: int) -> State:
        ties = {name: Tie.of(array, bits) for name, array in state.items() if array.ndim > 1}
        tied = dict(state) | {name: tie.values(state[name]) for name, tie in ties.items()}
        rate = _SHARED_RATE * RECIPE.learning_rate
        changes: dict[str, _Change] = {name: tie.mean for name, tie in ties.items()}
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
        loop.run(training, spec, _Told(self.listener, spec.steps))
        for hook in hooks:
            hook.remove()
        return _weights(network)


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


class _Told:
    """It is a watcher that passes rows of the log on."""

    def __init__(self, listener: TrainingListener, steps: int) -> None:
        self._listener, self._steps = listener, steps

    def row(self, row: LogRow) -> None:
        self._listener.row(row, self._steps)

    def rest(self, state: TrainingState, epoch_done: bool) -> None:
        pass


def retrained(
    network: Network,
    data: Path,
    epochs: float,
    settings: Sequence[CompressionSetting],
    listener: TrainingListener = NOBODY,
) -> dict[CompressionSetting, State]:
    """Train a network's weights on faces for each way of compressing them.

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
        BadInputError: the faces are not as they should be.
        DivergedError: a loss is no number any more.
    """
    faces = held(load(data, progress=ProgressStep(listener, "reads")), SHARE)
    targets = teacher_targets(network, faces, ProgressStep(listener, "teacher"))
    weights = _weights(network.module())
    training = Retraining(network.architecture(), weights, faces, targets, epochs, listener)
    return {setting: training(setting) for setting in settings}


def _weights(network: nn.Module) -> State:
    return {
        name: np.ascontiguousarray(tensor.numpy(), np.float32)
        for name, tensor in floating(network.state_dict()).items()
    }
