"""From names and files to networks; what does not fit is refused in a sentence."""

import pickle
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import NodeProto, TensorProto, helper, numpy_helper
from safetensors.torch import save_file
from torch import nn

from facebench.architectures import registry
from facebench.architectures.errors import BadInputError, FacebenchError, UnknownNameError
from facebench.architectures.initialise import create
from facebench.architectures.registry import Preprocessing
from facebench.harness.models.networks import Network, resolve, shipped_or_random
from facebench.harness.storage import shipped
from tests.harness.conftest import EMBEDDING, SIZE, tiny_module

NAME = "mobilefacenet_s"


def random_images(network: Network) -> torch.Tensor:
    return torch.randn(2, 3, *network.architecture().input_size)


def test_random_weights_carry_their_seed() -> None:
    assert resolve(NAME).weights == "random:0"
    network = resolve(NAME, "random:3")
    assert (network.weights, network.trained) == ("random:3", False)
    images = random_images(network)
    assert torch.equal(network.module()(images), create(NAME, 3)(images))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_from_a_file_give_the_network_they_came_from(suffix: str, tmp_path: Path) -> None:
    source = create(NAME, 5)
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(source.state_dict(), path)
    else:
        save_file(source.state_dict(), path)
    network = resolve(NAME, path)
    assert network.weights.startswith("sha256:")
    assert network.trained
    images = random_images(network)
    assert torch.equal(network.module()(images), source(images))


def test_other_names_for_the_same_layers_are_matched_by_order(tmp_path: Path) -> None:
    source = create(NAME, 5)
    renamed = {f"backbone.{i}": v for i, v in enumerate(source.state_dict().values())}
    torch.save({"state_dict": renamed, "epoch": 3}, tmp_path / "w.pth")
    network = resolve(NAME, tmp_path / "w.pth")
    images = random_images(network)
    assert torch.equal(network.module()(images), source(images))


def test_how_weights_were_matched_is_part_of_the_facts(tmp_path: Path) -> None:
    state = create(NAME, 5).state_dict()
    torch.save({f"module.{name}": tensor for name, tensor in state.items()}, tmp_path / "w.pth")
    facts = resolve(NAME, tmp_path / "w.pth").facts()
    assert facts["weights_matched"] == "by name, without the prefix 'module.'"
    assert "weights_matched" not in resolve(NAME).facts()


def test_weights_of_another_architecture_do_not_fit(tmp_path: Path) -> None:
    torch.save(create("mobilefacenet").state_dict(), tmp_path / "w.pth")
    with pytest.raises(BadInputError, match=r"w\.pth does not fit"):
        resolve(NAME, tmp_path / "w.pth").module()


class Trap:
    """Unpickling this would run code."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('code from a weights file ran')",))


@pytest.mark.parametrize(
    "content",
    [b"", b"not weights at all", pickle.dumps(Trap()), pickle.dumps([1, 2])],
    ids=["empty", "text", "code", "list"],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_files_that_are_no_weights_are_refused_and_run_no_code(
    content: bytes, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    with pytest.raises(BadInputError, match="w.*holds no"):
        resolve(NAME, path).module()


def test_a_missing_weights_file_is_named() -> None:
    with pytest.raises(BadInputError, match=r"cannot read /nowhere/w\.pth"):
        resolve(NAME, "/nowhere/w.pth")


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("net.pth", "give the file as --weights net.pth"),
        ("net.safetensors", "give the file as --weights net.safetensors"),
        ("net.pte", "holds no graph .* give the ONNX file"),
    ],
)
def test_a_path_in_place_of_a_name_is_answered_with_how_to_name_it(name: str, mend: str) -> None:
    with pytest.raises(BadInputError, match=mend):
        resolve(name)


def test_an_unknown_network_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean mobilefacenet_x2"):
        resolve("mobilefacenet_2x")


def test_an_onnx_file_is_the_network_it_was_exported_from(tiny: Network, tiny_onnx: Path) -> None:
    assert tiny.name == "onnx:tiny.onnx"
    found = tiny.architecture()
    assert (found.input_size, found.embedding_size) == ((SIZE, SIZE), EMBEDDING)
    images = torch.randn(1, 3, SIZE, SIZE)
    torch.testing.assert_close(tiny.module()(images), tiny_module()(images))


def test_preprocessing_of_the_user_replaces_the_architectures(tiny_onnx: Path) -> None:
    own = Preprocessing("BGR", (0.0, 0.0, 0.0), (255.0, 255.0, 255.0))
    assert resolve(f"onnx:{tiny_onnx}", preprocessing=own).architecture().preprocessing == own
    assert resolve(NAME).architecture().preprocessing == Preprocessing()


def graph(inputs: list[tuple[str, list[int]]], outputs: list[tuple[str, list[int]]]) -> bytes:
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs]
    answers = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs]
    nodes = [helper.make_node("Identity", [inputs[0][0]], [name]) for name, _ in outputs]
    made = helper.make_model(
        helper.make_graph(nodes, "g", values, answers),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    return bytes(made.SerializeToString())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not protobuf",
        graph([("x", [1, 3, 8, 8])], [("y", [1, 3, 8, 8])]),
        graph([("x", [1, 8])], [("y", [1, 8])]),
        graph([("x", [1, 3, 8, 8]), ("z", [1, 3, 8, 8])], [("y", [1, 3, 8, 8])]),
    ],
    ids=["empty", "text", "map output", "vector input", "two inputs"],
)
def test_an_onnx_file_that_is_no_embedding_network_is_refused(
    content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    with pytest.raises(BadInputError, match=r"x\.onnx is no"):
        resolve(f"onnx:{path}").architecture()


def test_a_network_of_four_channels_is_refused(tmp_path: Path) -> None:
    deep = nn.Sequential(nn.Conv2d(4, 4, 8), nn.Flatten())
    path = tmp_path / "deep.onnx"
    torch.onnx.export(deep, (torch.zeros(1, 4, 8, 8),), str(path), dynamo=False, opset_version=17)
    with pytest.raises(BadInputError, match="must have 3 channels, or 1"):
        resolve(f"onnx:{path}").architecture()


def written(path: Path, nodes: list[NodeProto], **weights: object) -> str:
    """A graph of an image of 3 x 16 x 16 and a vector of four; the name of its network."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 16, 16])
    vector = helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["n", 4])
    held = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "graph", [image], [vector], held)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return f"onnx:{path}"


@pytest.mark.parametrize(
    "wrong",
    [{"group": 0}, {"strides": [0, 0]}, {"dilations": [0, 0]}, {"pads": [-9] * 4}],
)
def test_a_convolution_that_makes_no_sense_is_one_sentence(
    tmp_path: Path, wrong: dict[str, object]
) -> None:
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], **wrong),
        helper.make_node("Flatten", ["c"], ["f"]),
        helper.make_node("Gemm", ["f", "g"], ["vector"]),
    ]
    weights = {"w": np.ones((3, 3, 1, 1), np.float32), "g": np.ones((768, 4), np.float32)}
    with pytest.raises(FacebenchError, match="does not run|is no ONNX file|groups must be"):
        resolve(written(tmp_path / "x.onnx", nodes, **weights)).module()


@pytest.mark.parametrize("large", [2**14, 2**20])
@pytest.mark.parametrize("operator", ["ConstantOfShape", "Expand", "Tile"])
def test_a_small_file_of_a_large_tensor_is_refused_before_it_is_made(
    tmp_path: Path, operator: str, large: int
) -> None:
    takes = ["shape"] if operator == "ConstantOfShape" else ["one", "shape"]
    nodes = [
        helper.make_node(operator, takes, ["large"]),
        helper.make_node("ReduceSum", ["large"], ["sum"], keepdims=0),
        helper.make_node("Flatten", ["image"], ["f"]),
        helper.make_node("Gemm", ["f", "g"], ["v"]),
        helper.make_node("Add", ["v", "sum"], ["vector"]),
    ]
    weights = {"g": np.ones((768, 4), np.float32), "one": np.ones((1, 1), np.float32)}
    name = written(tmp_path / "x.onnx", nodes, shape=np.array([large, 2**16]), **weights)
    with pytest.raises(BadInputError, match="numbers for an image, more than"):
        resolve(name).architecture()


def test_an_operator_that_cannot_be_converted_is_named(tmp_path: Path, tiny_onnx: Path) -> None:
    model = onnx.load(tiny_onnx)
    model.graph.node[0].op_type = "NoSuchOperator"
    model.graph.node[0].domain = "com.example"
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    path = tmp_path / "odd.onnx"
    onnx.save(model, path)
    with pytest.raises(FacebenchError, match="NoSuchOperator|odd.onnx is no"):
        resolve(f"onnx:{path}").module()


def test_the_public_network_of_the_data_folder_is_read(data_root: Path) -> None:
    path = data_root / "mobilefacenet_table1_public.pth"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    module = resolve("mobilefacenet", path).module()
    embeddings = module(torch.randn(2, 3, 112, 112))
    assert embeddings.shape == (2, 128)
    assert embeddings.isfinite().all()


@pytest.mark.parametrize("name", [n for n in shipped.weights() if n in registry.names()])
def test_shipped_weights_fit_their_network(name: str) -> None:
    network = resolve(name, "shipped")
    assert network.path == shipped.weights()[name]
    network.module()


def test_a_network_without_shipped_weights_is_named_with_those_that_have_some() -> None:
    with pytest.raises(
        BadInputError, match=r"no weights of timm:ghostnet_100:gdconv .*mobilefacenet"
    ):
        resolve("timm:ghostnet_100", "shipped")
    assert shipped_or_random("shipped", "timm:ghostnet_100") == "random:0"
    assert shipped_or_random("shipped", "mobilefacenet") == "shipped"
    assert shipped_or_random("random:0", "mobilefacenet") == "random:0"
