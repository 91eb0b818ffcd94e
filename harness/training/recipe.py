"""Defines recipes, which say how a network is trained, whatever its data.

A recipe is a TOML file; `paper`, `small`, `distill` and `long` are built in. Every key may
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
    zoom = 0.0                   # enlarge them, or make them smaller, by up to this share
    brightness = 0.0             # change brightness, contrast, saturation by up to this share
    contrast = 0.0
    saturation = 0.0
    blur = 0.0                   # Gaussian, of a standard deviation of up to so many pixels
    least_size = 112             # lower resolution: down to so many pixels a side, and up again
    degraded = 0.2               # share of images that are blurred, and share that are lowered
    erased = 0.0                 # share of images of which a rectangle is covered

    precision = "fp32"           # or "bf16", "fp16" (on a GPU): autocast, weights stay fp32;
                                 # a CPU without AVX512_BF16 takes fp32 for bf16

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

import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from facebench.architectures.errors import BadInputError, UnknownNameError
from facebench.harness.storage.serialization import convert_settings, read_toml
from facebench.harness.training.data.augmentation import Augmentation
from facebench.harness.training.losses.registry import LOSSES

BUILT_IN = Path(__file__).parent / "recipes"
NO_LOSS = "none"
_Share = Annotated[float, Meta(ge=0, le=1)]
# Keys that shipped weights do not tell, since they were trained before there were these; left out
# where they say nothing, so that whatever is trained without them is trained as those were.
_LATER = ("zoom", "saturation", "blur", "least_size", "degraded", "erased")
_RISING = "a rising list of numbers between 0 and 1"


@dataclass(frozen=True)
class Recipe:
    """A recipe says how a network is trained; this module says what each field means.

    Example:
        >>> load("paper").iterations(images=494_414)
        60000
    """

    name: str = "own"
    loss: str = "arcface"
    scale: Annotated[float, Meta(gt=0, le=1000)] | None = None
    margin: Annotated[float, Meta(gt=0, le=10)] | None = None
    teacher_weight: Annotated[float, Meta(ge=0, le=1000)] = 0.0
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: Annotated[float, Meta(gt=0, le=1000)] = 0.1
    momentum: Annotated[float, Meta(ge=0, le=0.9999)] = 0.9
    nesterov: bool = False
    weight_decay: _Share = 4e-5
    weight_decay_after_global: _Share = 4e-4
    schedule: Literal["steps", "cosine"] = "steps"
    drops: Annotated[tuple[Annotated[float, Meta(gt=0, lt=1)], ...], Meta(description=_RISING)] = (
        36 / 60,
        52 / 60,
        58 / 60,
    )
    warmup: Annotated[float, Meta(ge=0, le=0.9)] = 0.0
    batch: Annotated[int, Meta(ge=2, le=1_000_000)] = 512
    epochs: Annotated[float, Meta(gt=0, le=100_000)] = 60_000 * 512 / 494_414
    least_iterations: Annotated[int, Meta(ge=0, le=100_000_000)] = 2_000
    most_iterations: Annotated[int, Meta(ge=1, le=100_000_000)] = 60_000
    flip: bool = True
    shift: Annotated[int, Meta(ge=0, le=32)] = 0
    zoom: Annotated[float, Meta(ge=0, le=0.5)] = 0.0
    brightness: _Share = 0.0
    contrast: _Share = 0.0
    saturation: _Share = 0.0
    blur: Annotated[float, Meta(ge=0, le=10)] = 0.0
    least_size: Annotated[int, Meta(ge=4, le=112)] = 112
    degraded: _Share = 0.2
    erased: _Share = 0.0
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"

    def iterations(self, images: int) -> int:
        """Return steps of the whole run on so many images.

        Raises:
            BadInputError: there are fewer than a batch.
        """
        self.epoch_length(images)
        wanted = round(self.epochs * images / self.batch)
        return max(min(wanted, self.most_iterations), self.least_iterations, 1)

    def epoch_length(self, images: int) -> int:
        """Return batches of an epoch: the images that are left over wait for the next.

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
        """Return the learning rate of a step, the first being 0, of so many."""
        progress = step / iterations
        if progress < self.warmup:
            return self.learning_rate * (step + 1) / (self.warmup * iterations + 1)
        if self.schedule == "steps":
            return self.learning_rate * 0.1 ** sum(progress >= drop for drop in self.drops)
        left = (progress - self.warmup) / (1 - self.warmup)
        return self.learning_rate * (1 + math.cos(math.pi * left)) / 2

    @property
    def augmentation(self) -> Augmentation:
        """Return how images are changed."""
        return Augmentation(**{one.name: getattr(self, one.name) for one in fields(Augmentation)})

    def facts(self) -> dict[str, Any]:
        """Return what weights tell of it, in JSON's types."""
        told = asdict(self) | {"drops": list(self.drops)}
        defaults = {one.name: one.default for one in fields(self)}
        return {k: v for k, v in told.items() if k not in _LATER or v != defaults[k]}


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
    return checked(read_toml(path, "recipe"), str(path), path.stem)


def checked(data: dict[str, Any], source: str, name: str) -> Recipe:
    """Return a recipe of these keys and values.

    Raises:
        BadInputError: one is not valid; the message begins with `source`.
    """
    made = convert_settings(data, Recipe, source, reserved=("name",))
    # A whole number stays one: the hash of the conditions of training tells 30 from 30.0.
    whole = {key: value for key, value in data.items() if type(value) is int}
    recipe = Recipe(name=name, **made | whole)
    _require_sense(recipe, source)
    return recipe


def _require_sense(recipe: Recipe, source: str) -> None:
    """Raise `BadInputError` for values that do not go together."""
    if recipe.least_iterations > recipe.most_iterations:
        raise BadInputError(
            f"{source}: least_iterations {recipe.least_iterations} is above most_iterations "
            f"{recipe.most_iterations}: exchange them"
        )
    if recipe.loss not in (NO_LOSS, *LOSSES.names()):
        known = ", ".join((NO_LOSS, *LOSSES.names()))
        raise BadInputError(f"{source}: loss = {recipe.loss!r} is not valid: one of {known}")
    if sorted(recipe.drops) != list(recipe.drops):
        raise BadInputError(f"{source}: drops = {list(recipe.drops)} is not valid: {_RISING}")
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
