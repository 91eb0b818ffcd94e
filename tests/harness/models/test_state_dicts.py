"""Weights in the forms in which people save them are read right, or refused."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from facebench.architectures.errors import BadInputError
from facebench.harness.models.state_dicts import BY_NAME, MatchedWeights, match

EMBEDDING = 6


def block(channels: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(channels, 4, 3, bias=False), nn.BatchNorm2d(4), nn.PReLU(4))


def network(seed: int = 0) -> nn.Module:
    """Two stages of one shape among others: order alone could take one for the other."""
    torch.manual_seed(seed)
    made = nn.Sequential(
        block(3), *(block(4) for _ in range(10)), nn.Flatten(), nn.LazyLinear(EMBEDDING)
    )
    made(torch.zeros(2, 3, 26, 26))  # gives the lazy layer its size
    for tensor in made.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape) - (0 if tensor.ndim == 1 else 0.5))
    for name, tensor in made.state_dict().items():
        if name.endswith(("bias", "running_mean")):
            tensor.sub_(0.5)
    return made.eval()


OWN = network().state_dict()
STATE = network(1).state_dict()


def matched(content: Any, suffix: str = ".pth", own: dict[str, Any] = OWN) -> MatchedWeights:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"w{suffix}"
        if suffix == ".safetensors":
            save_file({name: tensor.clone() for name, tensor in content.items()}, path)
        else:
            torch.save(content, path)
        return match(path, own, EMBEDDING)


def is_right(found: MatchedWeights) -> bool:
    floats = {name: t for name, t in STATE.items() if t.is_floating_point()}
    return found.tensors.keys() == floats.keys() and all(
        torch.equal(found.tensors[name], tensor) for name, tensor in floats.items()
    )


def renamed(state: dict[str, Tensor], layer: Callable[[int, str], str]) -> dict[str, Tensor]:
    """Other names for the layers, which get a number in their order; the roles stay."""
    stems = list(dict.fromkeys(name.rpartition(".")[0] for name in state))
    return {
        f"{layer(stems.index(stem), stem)}.{role}": tensor
        for (stem, _, role), tensor in ((n.rpartition("."), t) for n, t in state.items())
    }


def by_entry(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Layers in their order, the entries of each by name."""
    stems = list(dict.fromkeys(name.rpartition(".")[0] for name in state))
    keys = sorted(state, key=lambda n: (stems.index(n.rpartition(".")[0]), n))
    return {name: state[name] for name in keys}


def by_kind(number: int, stem: str) -> str:
    """Names that sort by what a layer is."""
    return f"{('conv', 'bn', 'act')[number % 3]}{number // 3}"


NAMES: dict[str, Callable[[int, str], str]] = {
    "own": lambda number, stem: stem,
    "numbered": lambda number, stem: f"layer{number}",
    "padded": lambda number, stem: f"layer{number:03d}",
    "nested": lambda number, stem: f"body.{number // 4}.{number % 4}",
    "by kind": by_kind,
    "reversed": lambda number, stem: f"layer{90 - number}",
}
ORDERS: dict[str, Callable[[dict[str, Tensor]], dict[str, Tensor]]] = {
    "defined": lambda state: state,
    "by entry": by_entry,
    "sorted": lambda state: dict(sorted(state.items())),
}
PREFIXES = ("", "module.", "backbone.", "module.backbone.", "_orig_mod.", "model.encoder.")
PLACES = ("", "state_dict", "net_state_dict", "model_state_dict", "model", "backbone", "ema")


@st.composite
def forms(draw: st.DrawFn) -> tuple[dict[str, Any], str]:
    """The weights as somebody saves them, and the file's suffix."""
    state = renamed(STATE, NAMES[draw(st.sampled_from(sorted(NAMES)))])
    state = ORDERS[draw(st.sampled_from(sorted(ORDERS)))](state)
    if draw(st.booleans()):
        state = {name: t for name, t in state.items() if t.is_floating_point()}
    prefix = draw(st.sampled_from(PREFIXES))
    content: dict[str, Any] = {prefix + name: tensor for name, tensor in state.items()}
    if draw(st.booleans()):
        beside = draw(st.sampled_from(("head.weight", "module.head.kernel", "classifier.weight")))
        content[beside] = torch.rand(EMBEDDING, 50)
    if draw(st.booleans()):
        return content, ".safetensors"
    place = draw(st.sampled_from(PLACES))
    if not place:
        return content, ".pth"
    optimizer = {"state": {0: {"exp_avg": torch.rand(4), "step": torch.tensor(3.0)}}}
    return {"epoch": 3, place: content, "optimizer": optimizer, "best": 0.99}, ".pth"


@given(forms())
@settings(max_examples=150, deadline=None)
def test_whatever_form_weights_have_they_are_read_right_or_refused(
    form: tuple[dict[str, Any], str],
) -> None:
    try:
        found = matched(*form)
    except BadInputError:
        return
    assert is_right(found)


@given(st.sampled_from(PREFIXES), st.sampled_from(sorted(ORDERS)), st.booleans(), st.booleans())
@example("module.", "sorted", True, True)
@settings(max_examples=50, deadline=None)
def test_own_names_are_read_in_any_order_and_under_any_prefix(
    prefix: str, order: str, head: bool, safetensors: bool
) -> None:
    state = {prefix + name: tensor for name, tensor in ORDERS[order](STATE).items()}
    if head:
        state["head.weight"] = torch.rand(50, EMBEDDING)
    found = matched(state, ".safetensors" if safetensors else ".pth")
    assert is_right(found)
    assert found.how.startswith(BY_NAME)
    assert (prefix in found.how, "head.weight" in found.how) == (True, head)


@pytest.mark.parametrize("place", PLACES[1:])
def test_a_dict_inside_is_taken_and_named(place: str) -> None:
    found = matched({"epoch": 3, place: STATE})
    assert is_right(found)
    assert found.how == f"by name; taken from '{place}' in the file"


@pytest.mark.parametrize("names", ["numbered", "padded", "nested", "by kind", "reversed"])
@pytest.mark.parametrize("order", ["defined", "by entry"])
def test_other_names_in_the_networks_order_are_matched_by_layer_and_role(
    names: str, order: str
) -> None:
    found = matched(ORDERS[order](renamed(STATE, NAMES[names])))
    assert is_right(found)
    assert found.how == "by the order of the layers"


def test_sorted_names_whose_numbers_give_the_order_are_read() -> None:
    assert is_right(matched(renamed(STATE, NAMES["numbered"]), ".safetensors"))


def test_sorted_names_that_have_lost_the_order_are_refused() -> None:
    def names(number: int, stem: str) -> str:
        return "zyxwvutsrqponmlkjihgfedcbazyxwvuts"[number % 26] + str(number // 26)

    with pytest.raises(BadInputError, match="does not fit"):
        matched(renamed(STATE, names), ".safetensors")


def test_roles_are_never_mixed_up() -> None:
    """Each BN's statistics under the names of others, in the order of its own entries."""
    turned = {"weight": "running_var", "running_var": "weight"}
    state = {
        f"other.{stem}.{turned.get(role, role) if f'{stem}.running_var' in STATE else role}": tensor
        for (stem, _, role), tensor in ((n.rpartition("."), t) for n, t in STATE.items())
    }
    found = matched(state)
    name = next(name for name in OWN if name.endswith("running_var"))
    assert torch.equal(found.tensors[name], state[f"other.{name}"])


def test_a_negative_variance_shows_that_the_order_is_another() -> None:
    floats = [tensor for tensor in by_entry(STATE).values() if tensor.is_floating_point()]
    state = {str(number): tensor for number, tensor in enumerate(floats)}
    state = {f"a.{name}": -tensor for name, tensor in state.items()}
    with pytest.raises(BadInputError, match="does not fit"):
        matched(state)


def test_several_weights_that_differ_are_named_and_refused() -> None:
    with pytest.raises(BadInputError, match=r"several weights .*'model', 'ema'.* save the one"):
        matched({"model": STATE, "ema": network(2).state_dict()})
    assert is_right(matched({"model": STATE, "ema": STATE}))
    assert is_right(matched({"state_dict_ema": network(2).state_dict(), "state_dict": STATE}))


def test_a_deeper_network_that_begins_alike_is_refused() -> None:
    deeper = {**STATE, "13.0.weight": torch.rand(4, 4, 3, 3)}
    with pytest.raises(BadInputError, match=r"it has 13\.0\.weight \(4, 4, 3, 3\), which"):
        matched(deeper)


def test_what_is_lacking_or_of_another_shape_is_named() -> None:
    lacking = {f"module.{name}": t for name, t in STATE.items() if name != "3.1.running_var"}
    with pytest.raises(BadInputError, match=r"it lacks 3\.1\.running_var"):
        matched(lacking)
    with pytest.raises(BadInputError, match=r"its 0\.0\.weight is \(2, 3, 3, 3\) where \(4, 3,"):
        matched({**STATE, "0.0.weight": torch.rand(2, 3, 3, 3)})
