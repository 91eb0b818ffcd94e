"""Losses against closed forms, written with angles, and gradients against finite differences."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from facebench.architectures.errors import UnknownNameError
from facebench.harness.training.losses.distillation import distillation
from facebench.harness.training.losses.registry import LOSSES, Classification
from facebench.harness.training.losses.sphereface import SphereFace, psi

BATCH, SIZE, PEOPLE = 6, 5, 7


def made(name: str, scale: float | None = None, margin: float | None = None) -> Classification:
    torch.manual_seed(0)
    entry = LOSSES[name]
    loss = entry.make(SIZE, PEOPLE, scale or entry.scale, margin or entry.margin)  # type: ignore[call-arg]
    return loss.double()


def batch(seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(BATCH, SIZE, generator=generator, dtype=torch.float64)
    return 3 * embeddings, torch.arange(BATCH) % PEOPLE


def by_definition(logits: np.ndarray, labels: np.ndarray) -> float:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    right = exponentials[np.arange(len(labels)), labels] / exponentials.sum(axis=1)
    return float(-np.log(right).mean())


def expected_target(name: str, angle: float, margin: float, annealing: float) -> float:
    if name in ("am_softmax", "cosface"):
        return math.cos(angle) - margin
    if name == "arcface":
        if angle <= math.pi - margin:
            return math.cos(angle + margin)
        return math.cos(angle) - margin * math.sin(margin)
    k = min(int(margin * angle / math.pi), int(margin) - 1)
    psi_of_angle = (-1) ** k * math.cos(margin * angle) - 2 * k
    return (annealing * math.cos(angle) + psi_of_angle) / (1 + annealing)


@pytest.mark.parametrize(
    ("name", "scale", "margin"),
    [
        ("am_softmax", 30.0, 0.35),
        ("cosface", 64.0, 0.2),
        ("arcface", 64.0, 0.5),
        ("arcface", 16.0, 1.5),
        ("sphereface", None, 4),
        ("sphereface", 20.0, 3),
    ],
)
def test_margins_change_the_right_persons_logit_as_published(
    name: str, scale: float | None, margin: float
) -> None:
    loss = made(name, scale, margin)
    embeddings, labels = batch()
    # An angle of nearly pi, where ArcFace's cosine would rise again.
    embeddings[0] = -4 * loss.centres.detach()[0] + 0.01
    unit = embeddings.numpy() / np.linalg.norm(embeddings.numpy(), axis=1, keepdims=True)
    weights = loss.centres.detach().numpy()
    angles = np.arccos(unit @ (weights / np.linalg.norm(weights, axis=1, keepdims=True)).T)
    lengths = np.linalg.norm(embeddings.numpy(), axis=1)
    logits = np.cos(angles)
    for row, label in enumerate(labels.tolist()):
        logits[row, label] = expected_target(name, angles[row, label], margin, 1000.0)
    logits *= scale if scale else lengths[:, None]
    assert loss(embeddings, labels).item() == pytest.approx(by_definition(logits, labels.numpy()))


def test_softmax_is_the_cross_entropy_of_products() -> None:
    loss = made("softmax")
    assert loss.bias is not None
    loss.bias.data = torch.linspace(-1, 1, PEOPLE, dtype=torch.float64)
    embeddings, labels = batch()
    logits = embeddings.numpy() @ loss.centres.detach().numpy().T + loss.bias.detach().numpy()
    assert loss(embeddings, labels).item() == pytest.approx(by_definition(logits, labels.numpy()))


@pytest.mark.parametrize("name", LOSSES.names())
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    scale = 4.0 if LOSSES[name].scale else None  # at 64 the loss is too steep for differences
    loss = made(name, scale).eval()
    embeddings, labels = batch()
    with torch.no_grad():
        loss.centres *= 100
        embeddings[0] = -3 * loss.centres[0] + 0.3

    def of(embeddings: Tensor, centres: Tensor) -> Tensor:
        return torch.func.functional_call(loss, {"centres": centres}, (embeddings, labels))

    inputs = (embeddings.requires_grad_(), loss.centres.detach().clone().requires_grad_())
    assert torch.autograd.gradcheck(of, inputs)


@pytest.mark.parametrize("name", LOSSES.names())
def test_nothing_is_infinite_where_embedding_and_centre_agree_or_oppose(name: str) -> None:
    loss = made(name).float()
    embeddings = torch.stack([loss.centres[0], -loss.centres[1]]).detach().requires_grad_()
    value = loss(embeddings, torch.tensor([0, 1]))
    value.backward()
    assert value.isfinite()
    assert embeddings.grad is not None
    assert embeddings.grad.isfinite().all()
    assert loss.centres.grad is not None
    assert loss.centres.grad.isfinite().all()


@given(st.floats(0, math.pi), st.integers(1, 6))
def test_psi_is_its_definition_and_falls(angle: float, margin: int) -> None:
    value = psi(torch.tensor([math.cos(angle)], dtype=torch.float64), margin).item()
    assert value == pytest.approx(expected_target("sphereface", angle, margin, 0.0), abs=1e-6)
    assert 1 - 2 * margin - 1e-9 <= value <= 1 + 1e-9


def test_sphereface_anneals_while_it_trains_and_not_while_it_is_evaluated() -> None:
    loss = SphereFace(SIZE, PEOPLE)
    embeddings, labels = batch()
    for _ in range(3):
        loss(embeddings.float(), labels)
    assert loss.annealing.item() == pytest.approx(1000 / 1.36)
    loss.eval()(embeddings.float(), labels)
    assert loss.iteration == 3
    loss.iteration += 10**6
    assert loss.annealing.item() == 5.0


def test_distillation_is_half_the_squared_distance_of_unit_vectors() -> None:
    first, second = batch(1)[0], batch(2)[0]
    units = [x / x.norm(dim=1, keepdim=True) for x in (first, second)]
    expected = (units[0] - units[1]).square().sum(1).mean() / 2
    assert distillation(first, second).item() == pytest.approx(expected.item())
    assert distillation(first, 5 * first).item() == pytest.approx(0, abs=1e-12)
    assert torch.autograd.gradcheck(lambda x: distillation(x, second), (first.requires_grad_(),))


def test_an_unknown_loss_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean arcface"):
        LOSSES["arc_face"]
