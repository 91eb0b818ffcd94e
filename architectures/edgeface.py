"""EdgeFace-XS (arXiv 2307.01838); the backbone is timm's EdgeNeXt (arXiv 2206.10589)."""

from __future__ import annotations

from torch import nn

from facebench.architectures.registry import Published, register

EMBEDDING_SIZE = 512
# Gamma of arXiv 2307.01838, section 3.2, for the size XS.
RANK = 0.6


def _low_rank(layer: nn.Linear) -> nn.Sequential:
    """Return two linear layers in place of one (section 3.2, equation 2)."""
    rank = max(2, int(RANK * min(layer.in_features, layer.out_features)))
    return nn.Sequential(
        nn.Linear(layer.in_features, rank, bias=False), nn.Linear(rank, layer.out_features)
    )


@register(
    "edgeface_xs",
    embedding_size=EMBEDDING_SIZE,
    reference="arXiv 2307.01838",
    published=Published(
        parameters="1.77",
        flops="154",
        source="arXiv 2307.01838, table 2, EdgeFace-XS (gamma 0.6)",
        differs="1 % fewer parameters than we count; the paper does not say what it leaves out",
    ),
)
def _xs() -> nn.Module:
    import timm

    network: nn.Module = timm.create_model("edgenext_x_small", num_classes=EMBEDDING_SIZE)
    for parent_name, parent in list(network.named_modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear) and "head" not in f"{parent_name}.{name}":
                setattr(parent, name, _low_rank(child))
    return network
