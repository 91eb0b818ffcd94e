"""A user's ONNX file is read right, in the forms that people write, or refused with the reason."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from facebench.architectures.errors import BadInputError, RefusedError
from facebench.architectures.registry import Preprocessing
from facebench.harness.models import precision
from facebench.harness.models.answers import relative_error
from facebench.harness.models.export import Exported, export
from facebench.harness.models.networks import Network, resolve, told_apart
from facebench.harness.models.onnx_network.plain import plain
from facebench.harness.runtimes.registry import RUNTIMES
from tests.harness.models.onnx_forms import EMBEDDING, SIZE, Form, model, value, write

FORMS = {
    **{f"opset {one}": Form(one, normalized=True) for one in (9, 11, 13, 18, 20, 21, 23)},
    "NHWC": Form(channels_last=True),
    "uint8": Form(element="UINT8"),
    "uint8 NHWC": Form(element="UINT8", channels_last=True, batch=1),
    "grey": Form(grey=True),
    "grey uint8": Form(grey=True, element="UINT8"),
    "fp16": Form(element="FLOAT16", weights="FLOAT16"),
    "fp16 inside": Form(weights="FLOAT16", norm=True),
    "float64 image": Form(element="DOUBLE"),
    "one image": Form(batch=1),
    "four images": Form(batch=4),
    "rank 3": Form(shape=(1, EMBEDDING)),
    "rank 4": Form(shape=(EMBEDDING, 1, 1)),
    "rank 4, last": Form(shape=(1, 1, EMBEDDING), batch=1),
    "slopes (1, C, 1, 1)": Form(slope=(1, 6, 1, 1)),
    "slopes (C,)": Form(slope=(6,)),
    "MatMul": Form(dense="MatMul", norm=True),
    "behind Identity": Form(behind="Identity"),
    "behind Constant": Form(behind="Constant", norm=True),
    "our own names": Form(named=("embedding", "image")),
}


def images(form: Form, count: int = 2) -> np.ndarray:
    drawn = np.random.default_rng(1).integers(0, 256, (count, 3, SIZE, SIZE)).astype(np.float32)
    return drawn if form.element == "UINT8" else (drawn - 127.5) / 128


def infer(exported: Exported, runtime: str, drawn: np.ndarray) -> np.ndarray:
    artifact = RUNTIMES[runtime].prepare(exported, 1, "host")
    opened = RUNTIMES[runtime].open(artifact.path, 1)
    return np.concatenate([opened(one[None]) for one in drawn.astype(np.float32)])


def tolerance(form: Form) -> float:
    return 5e-3 if form.weights == "FLOAT16" else 1e-5


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_form_that_people_write_answers_as_by_hand(
    form: Form, tmp_path: Path, cache_folder: Path
) -> None:
    exported = export(resolve(f"onnx:{write(form, tmp_path / 'net.onnx')}"))
    drawn = images(form)
    expected = value(form, drawn.astype(float))
    assert relative_error(infer(exported, "onnxruntime", drawn), expected) < tolerance(form)
    inputs, outputs = exported.reference()
    # What others are held against is exact, whatever the graph computes in.
    assert relative_error(outputs, value(form, inputs.astype(float))) < 1e-6
    assert exported.facts()["rounding"] < tolerance(form)


ANY = st.builds(
    Form,
    opset=st.sampled_from((9, 10, 11, 12, 13, 15, 17, 18, 19, 20, 21, 22, 23)),
    element=st.sampled_from(("FLOAT", "FLOAT16", "DOUBLE", "UINT8")),
    weights=st.sampled_from(("FLOAT", "FLOAT16")),
    channels_last=st.booleans(),
    grey=st.booleans(),
    batch=st.sampled_from(("n", 1, 3)),
    shape=st.sampled_from(((EMBEDDING,), (1, EMBEDDING), (EMBEDDING, 1, 1), (1, 1, EMBEDDING))),
    slope=st.sampled_from(((6, 1, 1), (1, 6, 1, 1))),
    dense=st.sampled_from(("Gemm", "MatMul")),
    behind=st.sampled_from(("", "Identity", "Constant")),
    normalized=st.booleans(),
    norm=st.booleans(),
)


@given(ANY)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_any_of_these_together_is_answered_as_by_hand(form: Form) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEBENCH_CACHE", folder)
        exported = export(resolve(f"onnx:{write(form, Path(folder) / 'net.onnx')}"))
        drawn = images(form)
        found = infer(exported, "onnxruntime", drawn)
    assert relative_error(found, value(form, drawn.astype(float))) < tolerance(form)


@pytest.mark.parametrize(
    "runtime", ["executorch", "litert", "openvino", "torch", "torch_frozen", "ncnn", "tvm"]
)
def test_every_runtime_takes_the_file(runtime: str, tmp_path: Path, cache_folder: Path) -> None:
    if not RUNTIMES[runtime].installed():
        pytest.skip(f"{runtime} is not installed")
    form = Form(18, normalized=True, slope=(1, 6, 1, 1), behind="Identity", norm=True)
    exported = export(resolve(f"onnx:{write(form, tmp_path / 'net.onnx')}"))
    drawn = images(form)
    found = infer(exported, runtime, drawn)
    assert relative_error(found, value(form, drawn.astype(float))) < 1e-4


def test_a_free_size_is_asked_for_and_taken(tmp_path: Path, cache_folder: Path) -> None:
    form = Form(free_size=True)
    name = f"onnx:{write(form, tmp_path / 'net.onnx')}"
    with pytest.raises(BadInputError, match=r"x \(n, 3, side, side\).*--size"):
        resolve(name).architecture()
    network = resolve(name, size=(SIZE, SIZE))
    assert network.name == f"onnx:net.onnx@{SIZE}x{SIZE}"
    drawn = images(form)
    found = infer(export(network), "onnxruntime", drawn)
    assert relative_error(found, value(form, drawn.astype(float))) < 1e-5


def test_a_dimension_of_minus_one_is_free(tmp_path: Path) -> None:
    written = model(Form(free_size=True))
    for dim in written.graph.input[0].type.tensor_type.shape.dim:
        dim.dim_value = dim.dim_value or -1
    path = tmp_path / "net.onnx"
    onnx.save(written, path)
    with pytest.raises(BadInputError, match=r"x \(\?, 3, \?, \?\).*--size"):
        resolve(f"onnx:{path}").architecture()
    assert resolve(f"onnx:{path}", size=(SIZE, SIZE)).loaded().found.batch == 0


def test_the_output_that_is_named_is_the_embedding(tmp_path: Path, cache_folder: Path) -> None:
    form = Form(others=("minus",))
    name = f"onnx:{write(form, tmp_path / 'net.onnx')}"
    with pytest.raises(BadInputError, match=r"--output, of y \(1, 8\), minus \(1, 8\)"):
        resolve(name).architecture()
    with pytest.raises(BadInputError, match="no output 'z'"):
        resolve(name, output="z").architecture()
    drawn = images(form)
    expected = value(form, drawn.astype(float))
    for output, sign in (("y", 1), ("minus", -1)):
        found = infer(export(resolve(name, output=output)), "onnxruntime", drawn)
        assert relative_error(found, sign * expected) < 1e-5


@pytest.mark.parametrize(
    ("form", "why"),
    [
        (Form(shape=(2, 4)), r"y \(1, 2, 4\)"),
        (Form(batch=4, shape=(1, EMBEDDING), element="INT32"), "x .*float32, float16"),
    ],
    ids=["two dimensions", "whole numbers"],
)
def test_another_interface_is_refused_with_its_tensor(form: Form, why: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=why):
        resolve(f"onnx:{write(form, tmp_path / 'net.onnx')}").architecture()


def test_a_size_that_the_graph_does_not_take_is_refused(tmp_path: Path) -> None:
    path = write(Form(), tmp_path / "net.onnx")
    with pytest.raises(BadInputError, match="cannot take images of 20x20"):
        resolve(f"onnx:{path}", size=(20, 20)).architecture()


def test_raw_pixels_take_no_preprocessing_of_the_users(tmp_path: Path) -> None:
    path = write(Form(element="UINT8"), tmp_path / "net.onnx")
    found = resolve(f"onnx:{path}").architecture().preprocessing
    assert (found.mean, found.scale) == ((0.0,) * 3, (1.0,) * 3)
    own = Preprocessing("RGB", (1.0, 1.0, 1.0))
    with pytest.raises(BadInputError, match="leave --mean and --scale out"):
        resolve(f"onnx:{path}", preprocessing=own).architecture()


def test_grey_is_worked_out_of_the_order_that_the_image_has(
    tmp_path: Path, cache_folder: Path
) -> None:
    form = Form(grey=True)
    path = write(form, tmp_path / "net.onnx")
    exported = export(resolve(f"onnx:{path}", preprocessing=Preprocessing("BGR")))
    drawn = images(form)
    expected = value(form, drawn[:, ::-1].astype(float))
    assert relative_error(infer(exported, "onnxruntime", drawn), expected) < 1e-5


def split(path: Path, seed: int) -> Path:
    """The network with its weights beside it, in a folder."""
    path.parent.mkdir()
    onnx.save(
        model(Form(), seed), path, save_as_external_data=True, location="net.data",
        size_threshold=0,
    )  # fmt: skip
    return path


def test_weights_beside_a_file_are_its_own(
    tmp_path: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [split(tmp_path / folder / "net.onnx", seed) for seed, folder in enumerate("ab")]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    networks = [resolve(f"onnx:{path}") for path in paths]
    assert networks[0].weights != networks[1].weights
    drawn = images(Form())
    monkeypatch.chdir(tmp_path / "a")  # where weights of that name lie too
    for seed, network in enumerate(networks):
        found = infer(export(network), "onnxruntime", drawn)
        assert relative_error(found, value(Form(), drawn.astype(float), seed)) < 1e-5


def test_weights_that_are_not_beside_the_file_are_refused(tmp_path: Path) -> None:
    path = split(tmp_path / "a" / "net.onnx", 0)
    whole = (tmp_path / "a" / "net.data").read_bytes()
    (tmp_path / "a" / "net.data").write_bytes(whole[:-1])
    with pytest.raises(BadInputError, match=r"net\.data ends before the weights"):
        resolve(f"onnx:{path}").architecture()
    (tmp_path / "a" / "net.data").unlink()
    with pytest.raises(BadInputError, match=r"in net\.data, which is not beside it"):
        resolve(f"onnx:{path}")
    (tmp_path / "net.data").write_bytes(whole)
    (tmp_path / "a" / "net.data").symlink_to(tmp_path / "net.data")
    with pytest.raises(BadInputError, match="is a link"):
        resolve(f"onnx:{path}")
    moved = onnx.load(path, load_external_data=False)
    for tensor in moved.graph.initializer:
        tensor.external_data[0].value = "../net.data"
    path.write_bytes(moved.SerializeToString())
    with pytest.raises(BadInputError, match=r"lie in '\.\./net\.data'"):
        resolve(f"onnx:{path}")


@pytest.mark.parametrize(
    ("fill", "why"),
    [
        (lambda values: values * np.float32("nan"), "its weights w hold NaN or infinity"),
        (lambda values: values * 0, "the same embedding for every image"),
    ],
)
def test_what_is_no_embedding_is_called_what_it_is(
    fill: object, why: str, tmp_path: Path, cache_folder: Path
) -> None:
    made = model(Form())
    for tensor in made.graph.initializer:
        if tensor.name == "w":
            values = fill(numpy_helper.to_array(tensor))  # type: ignore[operator]
            tensor.CopyFrom(numpy_helper.from_array(values, "w"))
    onnx.save(made, tmp_path / "net.onnx")
    with pytest.raises(BadInputError, match=f"net.onnx gives.*{why}"):
        export(resolve(f"onnx:{tmp_path / 'net.onnx'}"))


def quantized(path: Path) -> Path:
    """The network with its convolution's weights and image in 8 bits (QDQ), by hand."""
    made = model(Form())
    scale = numpy_helper.from_array(np.array(1 / 64, np.float32), "scale")
    zero = numpy_helper.from_array(np.array(128, np.uint8), "zero")
    made.graph.initializer.extend([scale, zero])
    made.graph.node[0].input[0] = "back"
    for number, kind in enumerate(("QuantizeLinear", "DequantizeLinear")):
        source, end = ("x", "steps") if not number else ("steps", "back")
        made.graph.node.insert(number, helper.make_node(kind, [source, "scale", "zero"], [end]))
    onnx.save(made, path)
    return path


def test_a_quantized_graph_is_what_it_says_and_nothing_else(
    tmp_path: Path, cache_folder: Path
) -> None:
    network = resolve(f"onnx:{quantized(tmp_path / 'net.onnx')}")
    assert network.precision == "int8"
    exported = export(network)
    drawn = images(Form())
    steps = (np.rint(drawn * 64) + 128).clip(0, 255) / 64 - 2
    for runtime in ("onnxruntime", "openvino", "litert"):
        if RUNTIMES[runtime].installed():
            found = infer(exported, runtime, drawn)
            assert relative_error(found, value(Form(), steps.astype(float))) < 1e-5
    with pytest.raises(RefusedError, match="quantized already: give the fp32 file"):
        precision.lower(exported, "fp16")
    assert precision.lower(exported, "int8") == exported


def test_an_operator_of_a_vendor_is_held_against_its_own_runtime(
    tmp_path: Path, cache_folder: Path
) -> None:
    made = model(Form())
    made.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    made.graph.node[-1].output[0] = "plain"
    last = helper.make_node("QuickGelu", ["plain"], ["y"], domain="com.microsoft", alpha=1.0)
    made.graph.node.append(last)
    onnx.save(made, tmp_path / "net.onnx")
    exported = export(resolve(f"onnx:{tmp_path / 'net.onnx'}"))
    drawn = images(Form())
    plain = value(Form(), drawn.astype(float))
    expected = plain / (1 + np.exp(-plain))
    assert relative_error(infer(exported, "onnxruntime", drawn), expected) < 1e-5
    assert exported.facts()["reference"].startswith("ONNX Runtime without optimization")


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for seed, folder in enumerate("abc"):
        (tmp_path / folder).mkdir()
        write(Form(), tmp_path / folder / "net.onnx", seed % 2)
    one, two, again = (resolve(f"onnx:{tmp_path / folder / 'net.onnx'}") for folder in "abc")
    found = told_apart([one, two, Network("mobilefacenet")])
    assert [network.name for network in found] == [
        "onnx:a/net.onnx", "onnx:b/net.onnx", "mobilefacenet",
    ]  # fmt: skip
    assert [network.name for network in told_apart([one, again])] == ["onnx:net.onnx"] * 2


def test_a_batch_is_free_where_the_graph_takes_any_though_it_says_one(
    tmp_path: Path, cache_folder: Path
) -> None:
    free = export(resolve(f"onnx:{write(Form(batch=1), tmp_path / 'free.onnx')}"))
    made = model(Form(batch=1))
    for tensor in made.graph.initializer:
        if tensor.name == "y.shape":
            tensor.CopyFrom(numpy_helper.from_array(np.array([1, EMBEDDING]), "y.shape"))
    onnx.save(made, tmp_path / "one.onnx")
    one = export(resolve(f"onnx:{tmp_path / 'one.onnx'}"))
    assert (free.facts()["batch"], one.facts()["batch"]) == (0, 1)


def test_shapes_that_a_graph_says_inside_hinder_no_other_batch(tmp_path: Path) -> None:
    """Exporters leave in a file the shapes of the one image that they traced."""
    form = Form()
    wrapped = resolve(f"onnx:{write(form, tmp_path / 'net.onnx')}").loaded().wrapped("RGB")
    traced = onnx.ModelProto()
    traced.CopyFrom(wrapped)
    for value_of in (*traced.graph.input, *traced.graph.output):
        value_of.type.tensor_type.shape.dim[0].dim_value = 1
    wrapped.graph.value_info.extend(onnx.shape_inference.infer_shapes(traced).graph.value_info)
    assert any(one.type.tensor_type.shape.dim[0].dim_value for one in wrapped.graph.value_info)
    made = plain(wrapped, 3)
    said = {one.name: one.type.tensor_type.shape.dim for one in made.graph.value_info}
    assert {dims[0].dim_value for name, dims in said.items() if len(dims) > 1} <= {3}
    drawn = np.concatenate([images(form)] * 3)[:3].astype(np.float32)
    session = onnxruntime.InferenceSession(
        made.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(None, {"image": drawn})
    assert relative_error(found, value(form, drawn.astype(float))) < 1e-5


def test_a_form_of_several_images_that_takes_no_other_number_is_refused(
    tmp_path: Path, cache_folder: Path
) -> None:
    made = model(replace(Form(), batch=4))
    for tensor in made.graph.initializer:
        if tensor.name == "y.shape":
            tensor.CopyFrom(numpy_helper.from_array(np.array([4, EMBEDDING]), "y.shape"))
    onnx.save(made, tmp_path / "net.onnx")
    with pytest.raises(BadInputError, match="x takes 4 images at once and no other number"):
        export(resolve(f"onnx:{tmp_path / 'net.onnx'}"))
