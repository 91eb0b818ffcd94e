"""EdgeFace in four sizes (arXiv 2307.01838); the backbone is timm's EdgeNeXt (arXiv 2206.10589)."""

from __future__ import annotations

from torch import nn

from facebench.architectures.registry import Published, register

REFERENCE = "arXiv 2307.01838"
EMBEDDING_SIZE = 512
DIFFERS = "1 % fewer parameters than we count; the paper does not say what it leaves out"
# Of the sizes that the paper's table lacks.
REPOSITORY = "the authors' table of sizes (github.com/otroshi/edgeface)"


def edgenext(size: str) -> nn.Module:
    """Return timm's EdgeNeXt of a size, `x_small` say, with an embedding for its classes."""
    import timm

    network: nn.Module = timm.create_model(f"edgenext_{size}", num_classes=EMBEDDING_SIZE)
    return network


def low_rank(network: nn.Module, gamma: float) -> nn.Module:
    """Put two linear layers in the place of each but the head (section 3.2, equation 2)."""
    for parent_name, parent in list(network.named_modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear) and "head" not in f"{parent_name}.{name}":
                setattr(parent, name, _two(child, gamma))
    return network


def _two(layer: nn.Linear, gamma: float) -> nn.Sequential:
    rank = max(2, int(gamma * min(layer.in_features, layer.out_features)))
    return nn.Sequential(
        nn.Linear(layer.in_features, rank, bias=False), nn.Linear(rank, layer.out_features)
    )


@register(
    "edgeface_xs",
    embedding_size=EMBEDDING_SIZE,
    reference=REFERENCE,
    published=Published(
        parameters="1.77",
        flops="154",
        source="arXiv 2307.01838, table 2, EdgeFace-XS (gamma 0.6)",
        differs=DIFFERS,
    ),
)
def _xs() -> nn.Module:
    return low_rank(edgenext("x_small"), 0.6)


@register(
    "edgeface_s",
    embedding_size=EMBEDDING_SIZE,
    reference=REFERENCE,
    published=Published(
        parameters="3.65",
        flops="306.12",
        source="arXiv 2307.01838, table 2, EdgeFace-S (gamma 0.5)",
        differs=DIFFERS,
    ),
)
def _s() -> nn.Module:
    return low_rank(edgenext("small"), 0.5)


@register(
    "edgeface_xxs",
    embedding_size=EMBEDDING_SIZE,
    reference=REFERENCE,
    note="without low-rank layers, as its authors have it",
    published=Published(parameters="1.24", flops="94.72", source=REPOSITORY),
)
def _xxs() -> nn.Module:
    return edgenext("xx_small")


@register(
    "edgeface_base",
    embedding_size=EMBEDDING_SIZE,
    reference=REFERENCE,
    note="without low-rank layers, as its authors have it",
    large=True,
    published=Published(parameters="18.23", flops="1398.83", source=REPOSITORY),
)
def _base() -> nn.Module:
    return edgenext("base")
