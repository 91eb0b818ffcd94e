"""Holds all that changes while a network trains: weights, centres, optimizers, and the step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from facebench.architectures.registry import Architecture
from facebench.harness.training import student as students
from facebench.harness.training.batch_norm import synchronized
from facebench.harness.training.decay import parameter_groups
from facebench.harness.training.loss_scale import LossScale
from facebench.harness.training.losses.registry import LOSSES, Classification
from facebench.harness.training.ranks import Ranks
from facebench.harness.training.recipe import NO_LOSS, Recipe
from facebench.harness.training.student import Student


@dataclass
class TrainingState:
    """A training run between two steps.

    Attributes:
        student: the network, and what maps it to its teacher.
        classification: the loss with its centres, or None where the teacher alone teaches.
        optimizers: of the student; and of the centres, of which each process has a share.
        scale: of the loss, where half precision needs one.
        step: how many are done.
        ranks: the processes of the run.
    """

    student: Student
    classification: Classification | None
    optimizers: list[torch.optim.Optimizer]
    scale: LossScale
    ranks: Ranks
    step: int = 0

    def rate(self, value: float) -> None:
        """Set the learning rate."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = value

    def facts(self) -> dict[str, Any]:
        """Return all that a checkpoint keeps, whole on the first process, in tensors and plain
        values.
        """
        facts: dict[str, Any] = {
            "step": self.step,
            "scale": self.scale.facts(),
            "student": self.student.state_dict(),
            "student_optimizer": self.optimizers[0].state_dict(),
        }
        if self.classification is not None:
            facts["classification"] = self._whole(self.classification.state_dict())
            moments = self.optimizers[1].state_dict()
            states = {key: self._whole(value) for key, value in moments["state"].items()}
            facts["classification_optimizer"] = {**moments, "state": states}
        return facts

    def restore(self, facts: dict[str, Any]) -> None:
        """Go on from what `facts` gave, whatever the number of processes was."""
        self.step = facts["step"]
        self.scale.restore(facts["scale"])
        self.student.load_state_dict(facts["student"])
        self.optimizers[0].load_state_dict(facts["student_optimizer"])
        if self.classification is not None:
            self.classification.load_state_dict(self._shared(facts["classification"]))
            moments = facts["classification_optimizer"]
            states = {key: self._shared(value) for key, value in moments["state"].items()}
            self.optimizers[1].load_state_dict({**moments, "state": states})

    def _whole(self, tensors: dict[str, Any]) -> dict[str, Any]:
        assert self.classification is not None
        people = self.classification.classes
        return {
            name: self.ranks.rows(value, people) if _by_person(value) else value
            for name, value in tensors.items()
        }

    def _shared(self, tensors: dict[str, Any]) -> dict[str, Any]:
        assert self.classification is not None
        share = self.ranks.share(self.classification.classes)
        return {
            name: value[share] if _by_person(value) else value for name, value in tensors.items()
        }


def begin(
    architecture: Architecture,
    recipe: Recipe,
    seed: int,
    people: int,
    teacher_size: int | None = None,
    ranks: Ranks | None = None,
) -> TrainingState:
    """Return the state before the first step, the same for the same seed.

    Args:
        architecture: what is trained.
        recipe: how.
        seed: of the weights.
        people: identities in the training set.
        teacher_size: elements of the teacher's embeddings; None without a teacher.
        ranks: the processes of the run.
    """
    ranks = ranks or Ranks()
    network = students.build(architecture, seed)
    student = Student(synchronized(network, ranks), architecture, teacher_size)
    classification = None
    if recipe.loss != NO_LOSS:
        entry = LOSSES[recipe.loss]
        scale = entry.scale if recipe.scale is None else recipe.scale
        margin = entry.margin if recipe.margin is None else recipe.margin
        size = architecture.embedding_size
        classification = entry.make(size, people, scale, margin, ranks).to(ranks.device)
    student.to(ranks.device).to(memory_format=torch.channels_last)
    groups = parameter_groups(student.network, architecture.input_size, student.projection, recipe)
    optimizers = [_optimizer(groups, recipe)]
    if classification is not None:
        # Centres are the layer after the global operator.
        group = {
            "params": list(classification.parameters()),
            "weight_decay": recipe.weight_decay_after_global,
        }
        optimizers.append(_optimizer([group], recipe))
    return TrainingState(
        student, classification, optimizers, LossScale(recipe.precision == "fp16"), ranks
    )


def _optimizer(groups: list[dict[str, Any]], recipe: Recipe) -> torch.optim.Optimizer:
    if recipe.optimizer == "adamw":
        betas = (recipe.momentum, 0.999)
        return torch.optim.AdamW(groups, recipe.learning_rate, betas=betas, fused=True)
    return torch.optim.SGD(
        groups,
        recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        fused=True,
    )


def _by_person(value: Any) -> bool:
    """Return whether rows are people: centres, biases and their moments; no counter or plain
    value.
    """
    return isinstance(value, Tensor) and value.ndim > 0


def parameters(state: TrainingState) -> list[nn.Parameter]:
    """Return all parameters that are trained."""
    return [p for o in state.optimizers for group in o.param_groups for p in group["params"]]
