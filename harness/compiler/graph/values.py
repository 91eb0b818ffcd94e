"""Holds the forms that a variable of the network has while the network is rewritten.

Maps are kept as (N, H, W, C); as (N, C, H, W) where an operator that has no kernel
of ours wants them so. Each form is made when it is first asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tvm import relax

from facebench.harness.compiler.graph.nodes import Expr


@dataclass
class Value:
    """It is a tensor in the forms that exist of it.

    Attributes:
        shape: as the network has it: (N, C, H, W), or anything else.
        planar: the tensor as the network has it.
        packed: a map as (N, H, W, C).
        shuffle: the packed form's channels still lie as they did before a channel
            shuffle of so many groups; 1 is none.
        row: a map that was reshaped to (N, 1, C * H * W), with its elements in the packed
            order: until somebody asks for their order, it means nothing.
        map: the shape of the map that the row was.
    """

    shape: tuple[int, ...]
    planar: Expr | None = None
    packed: Expr | None = None
    shuffle: int = 1
    row: Expr | None = None
    map: tuple[int, ...] = ()

    def as_planar(self, builder: relax.BlockBuilder) -> Expr:
        """Return it as the network has it."""
        if self.planar is None and self.row is not None:
            batch, channels, height, width = self.map
            packed = builder.emit(relax.op.reshape(self.row, (batch, height, width, channels)))
            turned = builder.emit(relax.op.permute_dims(packed, [0, 3, 1, 2]))
            self.planar = builder.emit(relax.op.reshape(turned, self.shape))
        if self.planar is None:
            packed = self.as_packed(builder)
            batch, channels, height, width = self.shape
            if height * width == 1:
                made = relax.op.reshape(packed, (batch, channels, height, width))
            else:
                made = relax.op.permute_dims(packed, [0, 3, 1, 2])
            self.planar = builder.emit(made)
        return self.planar

    def as_packed(self, builder: relax.BlockBuilder) -> Expr:
        """Return it as (N, H, W, C), channels in the network's order."""
        if self.packed is None:
            batch, channels, height, width = self.shape
            if height * width == 1:
                made = relax.op.reshape(self.planar, (batch, height, width, channels))
            else:
                made = relax.op.permute_dims(self.planar, [0, 2, 3, 1])
            self.packed = builder.emit(made)
        if self.shuffle > 1:
            self.packed = _shuffled(builder, self.packed, self.shape, self.shuffle)
            self.shuffle = 1
        return self.packed


def _shuffled(
    builder: relax.BlockBuilder, packed: Expr, shape: tuple[int, ...], groups: int
) -> Expr:
    batch, channels, height, width = shape
    split = builder.emit(
        relax.op.reshape(packed, (batch, height, width, groups, channels // groups))
    )
    turned = builder.emit(relax.op.permute_dims(split, [0, 1, 2, 4, 3]))
    return builder.emit(relax.op.reshape(turned, (batch, height, width, channels)))


def places(channels: int, groups: int) -> list[int]:
    """Return where each channel was before a channel shuffle of `groups` groups.

    Example:
        places(6, 3) == [0, 2, 4, 1, 3, 5]
    """
    order = np.arange(channels).reshape(groups, channels // groups).T.ravel()
    return [int(place) for place in order]
