"""Recipes: how a network is trained, whatever its data.

A recipe is a TOML file; `paper`, `small` and `distill` are built in. Every key may
be left out, and then is what the paper does:

    loss = "arcface"             # of the losses here; "none" where the teacher alone teaches
    scale = 64.0                 # s and m of the loss; by default its publication's
    margin = 0.5
    teacher_weight = 0.0         # of the distillation from a teacher, beside the loss's 1

    optimizer = "sgd"            # or "adamw"
    learning_rate = 0.1
    momentum = 0.9               # of adamw: the first of its two decays
    nesterov = false
    weight_decay = 4e-5
    weight_decay_after_global = 4e-4
    schedule = "steps"           # or "cosine", which falls to nothing
    drops = [0.6, 0.8667, 0.9667]  # shares of the run at which "steps" divides the rate by 10
    warmup = 0.0                 # share of the run in which the rate rises to its full height

    batch = 512
    epochs = 62.13
    least_iterations = 2000      # the run is stretched, or cut, to lie between these two
    most_iterations = 60000

    flip = true                  # mirror every other image, at random
    shift = 0                    # move images by up to so many pixels
    brightness = 0.0             # change brightness and contrast by up to this share
    contrast = 0.0

    precision = "fp32"           # or "bf16", "fp16" (on a GPU): autocast, weights stay fp32

The rule by which the paper's recipe is scaled: its 60,000 iterations at a batch
of 512 are 62.13 epochs of CASIA-WebFace (494,414 images). Other data gets as many
epochs, and the drops (36,000, 52,000 and 58,000 iterations there) at the same shares
of the run; but no more than the paper's iterations, and no fewer than 2,000, below
which no network here leaves its random state.

Weight decay holds for the weights of convolutions and linear layers, and for class
centres; biases, batch normalization and PReLU slopes are left alone (decay would
push slopes to zero: arXiv 1502.01852, section 2.1). What comes after the global
operator, centres included, gets `weight_decay_after_global`.
"""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from facebench.architectures.errors import BadInputError, UnknownNameError
from facebench.harness.training.losses.registry import LOSSES

BUILT_IN = Path(__file__).parent / "recipes"
NO_LOSS = "none"
OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("steps", "cosine")
PRECISIONS = ("fp32", "bf16", "fp16")


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; see this module for what each field means.

    Example:
        >>> load("paper").iterations(images=494_414)
        60000
    """

    name: str = "own"
    loss: str = "arcface"
    scale: float | None = None
    margin: float | None = None
    teacher_weight: float = 0.0
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 4e-5
    weight_decay_after_global: float = 4e-4
    schedule: str = "steps"
    drops: tuple[float, ...] = (36 / 60, 52 / 60, 58 / 60)
    warmup: float = 0.0
    batch: int = 512
    epochs: float = 60_000 * 512 / 494_414
    least_iterations: int = 2_000
    most_iterations: int = 60_000
    flip: bool = True
    shift: int = 0
    brightness: float = 0.0
    contrast: float = 0.0
    precision: str = "fp32"

    def iterations(self, images: int) -> int:
        """Steps of the whole run on so many images.

        Raises:
            BadInputError: there are fewer than a batch.
        """
        self.epoch_length(images)
        wanted = round(self.epochs * images / self.batch)
        return max(min(wanted, self.most_iterations), self.least_iterations, 1)

    def epoch_length(self, images: int) -> int:
        """Batches of an epoch: the images that are left over wait for the next.

        Raises:
            BadInputError: there are fewer images than a batch has.
        """
        if images < self.batch:
            raise BadInputError(
                f"{images} images are fewer than the recipe's batch of {self.batch}: write a "
                "recipe of your own with a smaller batch, and a learning rate smaller by as much"
            )
        return images // self.batch

    def rate(self, step: int, iterations: int) -> float:
        """Learning rate of a step, the first being 0, of so many."""
        progress = step / iterations
        if progress < self.warmup:
            return self.learning_rate * (step + 1) / (self.warmup * iterations + 1)
        if self.schedule == "steps":
            return self.learning_rate * 0.1 ** sum(progress >= drop for drop in self.drops)
        left = (progress - self.warmup) / (1 - self.warmup)
        return self.learning_rate * (1 + math.cos(math.pi * left)) / 2

    def facts(self) -> dict[str, Any]:
        """All of it in JSON's types."""
        return asdict(self) | {"drops": list(self.drops)}


def load(name: str) -> Recipe:
    """Read a recipe: a TOML file, or the name of a built-in one.

    Raises:
        UnknownNameError: there is neither.
        BadInputError: it is no TOML, has a wrong key or value, or teaches nothing.
    """
    built_in = {file.stem: file for file in sorted(BUILT_IN.glob("*.toml"))}
    path = built_in.get(name, Path(name))
    if not path.is_file():
        raise UnknownNameError(
            f"no recipe {name!r}: give a TOML file or one of {', '.join(built_in)}"
        )
    try:
        data = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInputError(f"{path} is no recipe that can be read: {error}") from error
    return checked(data, str(path), path.stem)


def checked(data: dict[str, Any], source: str, name: str) -> Recipe:
    """A recipe of these keys and values.

    Raises:
        BadInputError: one will not do; the message begins with `source`.
    """
    known = [field.name for field in fields(Recipe) if field.name != "name"]
    for key, value in data.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise BadInputError(f"{source}: unknown key {key!r}: {hint}(known: {', '.join(known)})")
        valid, expected = _RULES[key]
        if not valid(value):
            raise BadInputError(f"{source}: {key} = {value!r} will not do: {expected}")
    whole: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in data.items()
    }
    recipe = Recipe(name=name, **whole)
    _require_sense(recipe, source)
    return recipe


def _require_sense(recipe: Recipe, source: str) -> None:
    """Raise `BadInputError` for values that do not go together."""
    if recipe.least_iterations > recipe.most_iterations:
        raise BadInputError(
            f"{source}: least_iterations {recipe.least_iterations} is above most_iterations "
            f"{recipe.most_iterations}: exchange them"
        )
    if recipe.optimizer == "adamw" and recipe.nesterov:
        raise BadInputError(f"{source}: adamw has no nesterov: leave it out, or use sgd")
    if recipe.loss == NO_LOSS:
        if not recipe.teacher_weight:
            raise BadInputError(
                f'{source}: nothing is learned with loss = "{NO_LOSS}" and a teacher_weight of 0: '
                "set one of them"
            )
        return
    entry = LOSSES[recipe.loss]
    if recipe.margin is not None and entry.margin is None:
        raise BadInputError(f"{source}: loss {recipe.loss} has no margin: leave it out")
    if recipe.loss == "sphereface" and recipe.margin not in (None, *range(1, 11)):
        raise BadInputError(f"{source}: sphereface takes a whole margin from 1 to 10")


Rule = tuple[Callable[[Any], bool], str]


def _number(lower: float, upper: float, above: bool = False) -> Rule:
    def valid(value: Any) -> bool:
        if type(value) not in (int, float) or not math.isfinite(value):
            return False
        return (lower < value if above else lower <= value) and bool(value <= upper)

    return valid, f"a number {'above' if above else 'from'} {lower:g} to {upper:g}"


def _whole(lower: int, upper: int) -> Rule:
    return (
        lambda value: type(value) is int and lower <= value <= upper,
        f"a whole number from {lower} to {upper:,}",
    )


def _one_of(*choices: str) -> Rule:
    return lambda value: value in choices, f"one of {', '.join(choices)}"


_BOOLEAN: Rule = (lambda value: isinstance(value, bool), "true or false")


def _shares(value: Any) -> bool:
    return (
        isinstance(value, list)
        and all(type(item) in (int, float) and 0 < item < 1 for item in value)
        and sorted(value) == value
    )


_RULES: dict[str, Rule] = {
    "loss": _one_of(NO_LOSS, *LOSSES.names()),
    "scale": _number(0, 1000, above=True),
    "margin": _number(0, 10, above=True),
    "teacher_weight": _number(0, 1000),
    "optimizer": _one_of(*OPTIMIZERS),
    "learning_rate": _number(0, 1000, above=True),
    "momentum": _number(0, 0.9999),
    "nesterov": _BOOLEAN,
    "weight_decay": _number(0, 1),
    "weight_decay_after_global": _number(0, 1),
    "schedule": _one_of(*SCHEDULES),
    "drops": (_shares, "a rising list of numbers between 0 and 1"),
    "warmup": _number(0, 0.9),
    "batch": _whole(2, 1_000_000),
    "epochs": _number(0, 100_000, above=True),
    "least_iterations": _whole(0, 100_000_000),
    "most_iterations": _whole(1, 100_000_000),
    "flip": _BOOLEAN,
    "shift": _whole(0, 32),
    "brightness": _number(0, 1),
    "contrast": _number(0, 1),
    "precision": _one_of(*PRECISIONS),
}
