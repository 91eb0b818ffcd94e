"""Counts on ONNX graphs against torch's count of the module that was exported, and closed forms."""

import io
import warnings
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper, parser
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
from torch import nn
from torch.nn import functional

from facebench.architectures.errors import BadInputError
from facebench.architectures.initialise import create
from facebench.architectures.registry import find, mobile_names
from facebench.harness.models.bn_folding import fold_batch_norm
from facebench.harness.models.cost import count as count_torch
from facebench.harness.models.onnx_cost.counter import count
from facebench.harness.records.cost import Cost
from tests.sampling import today

from ..conftest import SIZE, tiny_module

SHAPE = (1, 3, SIZE, SIZE)
# What exporters write as they like: names of layers, and which of them are views.
APART = {"layers": ()}


def exported(module: nn.Module, size: tuple[int, int] = (SIZE, SIZE), **how: object) -> object:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        settings = {"dynamo": False, "opset_version": 17} | how
        made = torch.onnx.export(
            module.eval(),
            (torch.zeros(1, 3, *size),),
            None if settings["dynamo"] else file,
            verbose=False,
            **settings,
        )
    return made.model_proto if settings["dynamo"] else onnx.load_from_string(file.getvalue())


def counted(model: object, size: tuple[int, int] = (SIZE, SIZE)) -> Cost:
    return replace(count(model, (1, 3, *size), size), **APART)


def torchs(module: nn.Module, size: tuple[int, int] = (SIZE, SIZE), embedding: int = 8) -> Cost:
    return replace(count_torch(module.eval(), size, embedding), **APART)


def unequal(module: nn.Module) -> nn.Module:
    """No two tensors of the module are equal, as after training."""
    torch.manual_seed(0)
    for tensor in [*module.parameters(), *module.buffers()]:
        if tensor.is_floating_point():
            tensor.data.add_(0.01 * torch.rand_like(tensor))
    return module


QUICK = {"mobilefacenet_s"}

# What torch counts is exported with queries, keys and values parted before their heads, which
# moves other maps than the file here does.
PARTED = {"edgeface_xs", "edgeface_s", "edgeface_xxs", "kanface_06_25"}
NAMES = [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in mobile_names()]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("trained", today([False, True], 1), ids=["fresh", "trained"])
def test_a_registered_network_costs_what_torch_counts(name: str, trained: bool) -> None:
    architecture = find(name)
    size, embedding = architecture.input_size, architecture.embedding_size
    module = unequal(create(name)) if trained else create(name)
    folded = fold_batch_norm(module)
    assert counted(exported(folded, size), size) == torchs(folded, size, embedding)
    whole = counted(exported(module, size, training=torch.onnx.TrainingMode.PRESERVE), size)
    theirs = torchs(module, size, embedding)
    if name in PARTED:
        whole = replace(whole, activation_bytes=theirs.activation_bytes)
    assert whole == theirs


@pytest.mark.slow
@pytest.mark.parametrize("name", mobile_names())
def test_so_it_does_from_torchs_default_exporter(name: str) -> None:
    # It leaves out biases of zero, so that a fresh network has less in its file.
    size, embedding = find(name).input_size, find(name).embedding_size
    folded = fold_batch_norm(unequal(create(name)))
    made, theirs = counted(exported(folded, size, dynamo=True), size), torchs(folded, size)
    assert made.parameters == theirs.parameters
    assert made.madds == theirs.madds
    assert (made.activations, made.embedding_size) == (theirs.activations, embedding)


class Normalized(nn.Module):
    """It ends in a dense layer and a vector of length one, as EdgeFace does."""

    def __init__(self) -> None:
        super().__init__()
        self.first = tiny_module()
        self.mix = nn.Linear(8, 8)
        self.scale = nn.Parameter(torch.rand(8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.normalize(self.mix(self.first(x)[:, None])[:, 0] * self.scale)


@pytest.mark.parametrize("opset", today(range(9, 21), 4))
def test_any_opset_costs_the_same(opset: int) -> None:
    folded = fold_batch_norm(Normalized())
    found = counted(exported(folded, opset_version=opset))
    assert (found.parameters, found.madds["conv+linear"], found.activations) == (
        torchs(folded).parameters,
        torchs(folded).madds["conv+linear"],
        torchs(folded).activations,
    )
    assert found.embedding_size == 8


@pytest.mark.parametrize("opset", [18, pytest.param(23, marks=pytest.mark.slow)])
def test_torchs_default_exporter_costs_the_same(opset: int) -> None:
    folded = fold_batch_norm(unequal(Normalized()))
    found = counted(exported(folded, dynamo=True, opset_version=opset))
    assert (found.parameters, found.madds["conv+linear"]) == (
        torchs(folded).parameters,
        torchs(folded).madds["conv+linear"],
    )


class Parts(nn.Module):
    """Convolutions without a bias, and what torch's exporter writes in parts."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ELU(),
            nn.Conv2d(4, 1, 1, bias=False), nn.Softplus(),
        )  # fmt: skip
        self.norm, self.dense = nn.RMSNorm(6), nn.Linear(6, 2, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = self.convs(x).split([8, 6], dim=3)
        chosen = torch.where(second > 0.5, second, self.norm(second))
        return self.dense(chosen + first.mean() * torch.rsqrt(chosen.clamp(0.1, 2.0)))


def test_so_it_does_without_its_optimizer() -> None:
    found = counted(exported(unequal(Parts()), dynamo=True, optimize=False, opset_version=18))
    theirs = torchs(unequal(Parts()))
    assert (found.madds, found.activations) == (theirs.madds, theirs.activations)
    assert found.parameters == theirs.parameters == 3 * 4 * 9 + 2 * 4 + 4 + 6 + 12
    # With the bias that the convolution gets of its BN.
    assert found.parameters_bn_folded == found.parameters - 4


class Summed(nn.Module):
    def __init__(self, equation: str, *shape: int) -> None:
        super().__init__()
        self.equation, self.weight = equation, nn.Parameter(torch.rand(*shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.einsum(self.equation, x, self.weight)


@pytest.mark.parametrize(
    ("equation", "shape", "products"),
    [
        ("bchw,cd->bdhw", (3, 5), 5 * SIZE**2 * 3),
        ("...hw,wv->...hv", (SIZE, 7), 3 * SIZE * 7 * SIZE),
        ("bchw,hw->bc", (SIZE, SIZE), 3 * SIZE**2),
    ],
)
def test_an_einsum_counts_its_products(
    equation: str, shape: tuple[int, int], products: int
) -> None:
    found = counted(exported(Summed(equation, *shape)))
    assert found.madds["conv+linear"] == products
    assert found.parameters == shape[0] * shape[1]


ACTIVATIONS = [
    nn.GELU(), nn.SiLU(), nn.Mish(), nn.Hardswish(), nn.Hardsigmoid(), nn.ReLU6(), nn.ELU(),
    nn.LeakyReLU(0.1), nn.Softplus(), nn.PReLU(3), nn.PReLU(), nn.Tanh(), nn.GroupNorm(1, 3),
    nn.Softmax(3),
]  # fmt: skip


@pytest.mark.parametrize("opset", [11, 17, 20])
@pytest.mark.parametrize("layer", ACTIVATIONS, ids=lambda layer: type(layer).__name__)
def test_what_an_exporter_writes_in_parts_is_one_operator(layer: nn.Module, opset: int) -> None:
    if isinstance(layer, nn.GroupNorm):
        made = counted(exported(layer, opset_version=opset))
        assert made.madds == {"conv+linear": 0, "+bn": 6 * SIZE**2, "+activation": 6 * SIZE**2}
        assert made.parameters == 6
        return
    assert counted(exported(layer, opset_version=opset)) == torchs(layer, embedding=3 * SIZE**2)


class Tokens(nn.Module):
    """A layer norm over channels, and a dense layer of three dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.dense = nn.LayerNorm(3), nn.Linear(3, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(self.norm(x.flatten(2).transpose(1, 2)))


@pytest.mark.parametrize("opset", [11, 17])
def test_a_layer_norm_and_a_dense_layer_of_tokens(opset: int) -> None:
    found = counted(exported(Tokens(), opset_version=opset))
    assert found == torchs(Tokens(), embedding=5 * SIZE**2)
    assert found.parameters == 3 + 3 + 3 * 5 + 5


class Twice(nn.Module):
    def __init__(self, fresh: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.others = nn.Sequential(nn.Conv2d(3, 3, 1), nn.PReLU(3), nn.Conv2d(3, 3, 1))
        if fresh:
            for layer in (self.conv, self.others[0], self.others[2]):
                nn.init.zeros_(layer.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.others(self.conv(self.conv(x)))


@pytest.mark.parametrize("fresh", [True, False])
def test_a_layer_read_twice_is_stored_once_and_equal_tensors_of_layers_are_several(
    fresh: bool,
) -> None:
    found = counted(exported(Twice(fresh)))
    assert found.parameters == 3 * (9 + 3) + 3
    assert found.madds["conv+linear"] == 4 * 9 * SIZE**2


def model(text: str, **tables: object) -> object:
    """A graph written in ONNX's own text, its input (1, 3, 4, 4), with these tables."""
    header = '<ir_version: 8, opset_import: ["" : 17]> '
    made = parser.parse_model(header + "g (float[1,3,4,4] x) => (float y)" + text)
    made.graph.output[0].type.tensor_type.ClearField("shape")
    held = [numpy_helper.from_array(np.asarray(value), name) for name, value in tables.items()]
    made.graph.initializer.extend(held)
    return made


def weights(*shape: int, kind: type = np.float32) -> np.ndarray:
    return np.arange(1, 1 + np.prod(shape)).reshape(shape).astype(kind)


WAYS = {
    "an initializer": ("{ y = Conv(x, w) }", weights(5, 3, 1, 1)),
    "behind an identity": ("{ v = Identity(w) y = Conv(x, v) }", weights(5, 3, 1, 1)),
    "behind a cast": ("{ v = Cast<to = 1>(w) y = Conv(x, v) }", weights(5, 3, 1, 1, kind=np.half)),
    "transposed": (
        "{ v = Transpose<perm = [1, 0, 2, 3]>(w) y = Conv(x, v) }", weights(3, 5, 1, 1),
    ),
    "quantized": (
        "{ v = DequantizeLinear(w, s) y = Conv(x, v) }", weights(5, 3, 1, 1, kind=np.int8),
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_weights_are_found_where_they_lie(way: str) -> None:
    text, table = WAYS[way]
    found = count(model(text, w=table, s=np.float32(0.5)), (1, 3, 4, 4), (4, 4))
    assert (found.parameters, found.madds["conv+linear"]) == (15, 15 * 16)


def test_weights_of_a_constant_node_are_weights() -> None:
    made = model("{ y = Conv(x, w) }")
    constant = helper.make_node(
        "Constant", [], ["w"], value=numpy_helper.from_array(weights(5, 3, 1, 1))
    )
    made.graph.node.insert(0, constant)
    assert count(made, (1, 3, 4, 4), (4, 4)).parameters == 15


@pytest.mark.parametrize(
    ("text", "tables", "parameters", "madds"),
    [
        ("{ f = Flatten(x) y = MatMul(f, w) }", {"w": weights(48, 7)}, 336, 336),
        ("{ f = Flatten(x) m = MatMul(f, w) y = Add(m, b) }",
         {"w": weights(48, 7), "b": weights(7)}, 343, 336),
        ("{ f = Flatten(x) y = Gemm<transB = 1>(f, w, b) }",
         {"w": weights(7, 48), "b": weights(7)}, 343, 336),
        ("{ y = PRelu(x, w) }", {"w": weights(3)[:, None, None]}, 3, 0),
        ("{ y = PRelu(x, w) }", {"w": weights(1, 3, 1, 1)}, 3, 0),
        ("{ a = Sub(x, m) b = Mul(a, s) y = Conv(b, w) }",
         {"m": np.float32([127.5]), "s": np.float32([1 / 128]), "w": weights(2, 3, 1, 1)}, 6, 96),
        ("{ y = Mul(x, w) }", {"w": weights(1, 3, 1, 1)}, 3, 0),
        # A bias of one number stays one where it is not what an exporter fills up with.
        ("{ b = Expand(n, s) y = Conv(x, w, b) }",
         {"w": weights(2, 3, 1, 1), "n": np.float32([0.5]), "s": np.int64([2])}, 7, 96),
        # Worked out once: what is convolved is a table of the program, and no parameter.
        ("{ t = Conv(p, w) y = Add(x, t) }",
         {"p": weights(1, 5, 4, 4), "w": weights(3, 5, 1, 1)}, 15, 0),
        ("{ y = ConvTranspose<strides = [2, 2]>(x, w) }", {"w": weights(3, 2, 2, 2)}, 24, 24 * 16),
        ("{ c = Conv(x, w) y = BatchNormalization(c, a, b, m, v) }",
         {"w": weights(2, 3, 1, 1), **{n: weights(2) for n in "abmv"}}, 10, 96),
    ],
)  # fmt: skip
def test_closed_forms(text: str, tables: dict, parameters: int, madds: int) -> None:
    found = count(model(text, **tables), (1, 3, 4, 4), (4, 4))
    assert (found.parameters, found.madds["conv+linear"]) == (parameters, madds)


def test_a_choice_counts_and_the_comparison_before_it_does_not() -> None:
    text = "{ m = LessOrEqual(x, n) i = Not(m) y = Where(i, x, n) }"
    found = count(model(text, n=np.float32(0.5)), (1, 3, 4, 4), (4, 4))
    assert (found.parameters, found.madds["+activation"]) == (0, 48)


def test_functions_of_the_model_count_where_they_are_called() -> None:
    made = parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17, "mine" : 1]>
        g (float[1,3,4,4] x) => (float y) { a = mine.Block<eps = 0.5>(x, v, x)
                                            y = mine.Block<eps = 0.25>(a, w, x) }
        <domain: "mine", opset_import: ["" : 17, "mine" : 1]>
        Block <eps> (x, w, z) => (y) { c = mine.Twice(x, w) y = LeakyRelu<alpha: float = @eps>(c) }
        <domain: "mine", opset_import: ["" : 17]>
        Twice (x, w) => (y) { c = Conv(x, w) y = Conv(c, w) }
    """)
    made.graph.output[0].type.tensor_type.ClearField("shape")
    made.graph.initializer.extend(
        numpy_helper.from_array(weights(3, 3, 1, 1) * scale, name)
        for name, scale in (("v", 1), ("w", 2))
    )
    found = count(made, (1, 3, 4, 4), (4, 4))
    assert (found.parameters, found.madds["conv+linear"]) == (18, 4 * 9 * 16)
    assert found.madds["+activation"] == 4 * 9 * 16 + 2 * 48
    del made.functions[1:]  # and one that is not there is named
    with pytest.raises(BadInputError, match="mine"):
        count(made, (1, 3, 4, 4), (4, 4))


def test_bn_is_folded_for_sizes_where_the_layer_before_it_can_take_it() -> None:
    text = "{ c = Conv(x, w) r = BatchNormalization(c, a, b, m, v) y = Relu(r) }"
    tables = {"w": weights(2, 3, 1, 1), **{n: weights(2) for n in "abmv"}}
    found = count(model(text, **tables), (1, 3, 4, 4), (4, 4))
    assert (found.parameters, found.parameters_bn_folded) == (6 + 4, 6 + 2)
    assert found.activation_bytes == 4 * (3 + 2) * 16
    apart = "{ r = BatchNormalization(x, a, b, m, v) y = Conv(r, w) }"
    tables = {"w": weights(2, 3, 1, 1), **{n: weights(3) for n in "abmv"}}
    assert count(model(apart, **tables), (1, 3, 4, 4), (4, 4)).parameters_bn_folded == 6 + 6


def test_bn_is_folded_into_a_dense_layer_without_a_bias() -> None:
    text = "{ f = Flatten(x) d = MatMul(f, w) y = BatchNormalization(d, a, b, m, v) }"
    tables = {"w": weights(48, 2), **{n: weights(2) for n in "abmv"}}
    found = count(model(text, **tables), (1, 3, 4, 4), (4, 4))
    assert (found.parameters, found.parameters_bn_folded) == (96 + 4, 96 + 2)


def test_only_what_the_chosen_output_needs_is_counted() -> None:
    made = model("{ y = Conv(x, w) z = Conv(y, v) }", w=weights(2, 3, 1, 1), v=weights(9, 2, 1, 1))
    made.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, None))
    assert count(made, (1, 3, 4, 4), (4, 4)).parameters == 6
    found = count(made, (1, 3, 4, 4), (4, 4), "z")
    assert (found.parameters, found.embedding_size) == (24, 9 * 16)


def test_several_images_cost_so_many_times_one() -> None:
    made = model("{ y = Conv(x, w) }", w=weights(2, 3, 1, 1))
    one, four = (count(made, (n, 3, 4, 4), (4, 4)) for n in (1, 4))
    assert one.madds == four.madds
    assert one.peak_activation_bytes == four.peak_activation_bytes


@pytest.mark.parametrize(
    "text",
    ["{ y = CumSum(x, w) }", "{ a = Conv(x, w) y = Det(a) }"],
)
def test_an_operator_without_a_rule_is_refused_by_name(text: str) -> None:
    named = "CumSum" if "CumSum" in text else "Det"
    table = np.int64(1) if named == "CumSum" else weights(2, 3, 1, 1)
    with pytest.raises(BadInputError, match=f"no rule .*{named}"):
        count(model(text, w=table), (1, 3, 4, 4), (4, 4))


class Images(CalibrationDataReader):
    def __init__(self, name: str) -> None:
        self.left = [{name: np.zeros(SHAPE, np.float32) + n} for n in range(2)]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return self.left.pop() if self.left else None


@pytest.mark.parametrize("form", [QuantFormat.QDQ, QuantFormat.QOperator])
def test_a_quantized_graph_costs_what_its_float_graph_does(form: QuantFormat, tmp_path) -> None:
    onnx.save(exported(tiny_module()), tmp_path / "a.onnx")
    plain = counted(onnx.load(tmp_path / "a.onnx"))
    name = onnx.load(tmp_path / "a.onnx").graph.input[0].name
    quantize_static(
        tmp_path / "a.onnx", tmp_path / "b.onnx", Images(name), quant_format=form,
        op_types_to_quantize=["Conv"], per_channel=True,
    )  # fmt: skip
    found = counted(onnx.load(tmp_path / "b.onnx"))
    assert (found.parameters, found.madds, found.activations) == (
        plain.parameters, plain.madds, plain.activations,
    )  # fmt: skip


def test_half_precision_costs_what_single_does() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.PReLU(4), nn.Flatten(), nn.Linear(784, 8))
    plain = exported(module)
    for table in plain.graph.initializer:
        table.CopyFrom(
            numpy_helper.from_array(numpy_helper.to_array(table).astype(np.half), table.name)
        )
    for value in (*plain.graph.input, *plain.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    del plain.graph.value_info[:]
    assert counted(plain) == torchs(module)


@given(
    groups=st.integers(1, 3), width=st.integers(1, 3), kernel=st.integers(1, 3),
    stride=st.integers(1, 2), side=st.integers(3, 9),
)  # fmt: skip
@settings(deadline=None, max_examples=15)
def test_closed_form_of_a_convolution(
    groups: int, width: int, kernel: int, stride: int, side: int
) -> None:
    text = (
        f"{{ a = Conv(x, e) y = Conv<group = {groups}, strides = [{stride}, {stride}]>(a, w, b) }}"
    )
    written, channels = groups * width, 3 * groups
    tables = {
        "e": weights(channels, 3, 1, 1),
        "w": weights(written, 3, kernel, kernel),
        "b": weights(written),
    }
    found = count(model(text, **tables), (1, 3, side, side), (side, side))
    out = written * ((side - kernel) // stride + 1) ** 2
    assert found.madds["conv+linear"] == out * 3 * kernel**2 + 3 * channels * side**2
    assert found.activations == out + channels * side**2
    assert found.parameters == written * (3 * kernel**2 + 1) + 3 * channels
