"""A user's TFLite file is a network as an ONNX file is, or is refused with the reason."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from facebench.architectures.errors import BadInputError, FacebenchError, UnavailableError
from facebench.architectures.registry import Preprocessing
from facebench.harness.cli.main import cli
from facebench.harness.measures.cost import _obtain as obtain_cost
from facebench.harness.measures.deployment import deploy
from facebench.harness.measures.job import Job
from facebench.harness.models.answers import cosines, relative_error
from facebench.harness.models.export import Exported, export
from facebench.harness.models.networks import resolve
from facebench.harness.records.case import Case
from facebench.harness.records.cost import Cost
from facebench.harness.runtimes.registry import RUNTIMES
from tests.harness.models.tflite_files import Array, Made, quantized, run

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed: pip install '.[litert]'")

from facebench.harness.models.tflite_network import files, reading

SIZE, EMBEDDING = 32, 16
RAW = Preprocessing(mean=(0.0, 0.0, 0.0), scale=(1.0, 1.0, 1.0))


def numbers(*shape: int, seed: int = 0) -> Array:
    fan = int(np.prod(shape[1:])) or 1
    drawn = np.random.default_rng([seed, *shape]).normal(size=shape) / np.sqrt(fan)
    return drawn.astype(np.float32)


def conv(made: Made, x: int, inputs: int, outputs: int, size: int = 1, stride: int = 1,
         fused: int = 0, padding: int = 0) -> int:  # fmt: skip
    weights = made.constant(numbers(outputs, size, size, inputs))
    bias = made.constant(numbers(outputs) * 0.1)
    return made.add("CONV_2D", x, weights, bias, strideH=stride, strideW=stride, padding=padding,
                    fusedActivationFunction=fused)  # fmt: skip


def depthwise(made: Made, x: int, channels: int, size: int = 3, stride: int = 1,
              padding: int = 0) -> int:  # fmt: skip
    weights = made.constant(numbers(1, size, size, channels) * np.float32(4))
    bias = made.constant(numbers(channels, seed=1) * 0.1)
    return made.add("DEPTHWISE_CONV_2D", x, weights, bias, strideH=stride, strideW=stride,
                    padding=padding, depthMultiplier=1)  # fmt: skip


def prelu(made: Made, x: int, channels: int) -> int:
    return made.add("PRELU", x, made.constant(np.abs(numbers(1, 1, channels, seed=2))))


def body(made: Made, x: int, channels: int = 3) -> int:
    """A small MobileFaceNet: a bottleneck with its shortcut, then GDConv; a vector an image."""
    x = prelu(made, conv(made, x, channels, 8, 3, 2), 8)
    x = prelu(made, depthwise(made, x, 8), 8)
    inner = prelu(made, conv(made, x, 8, 16), 16)
    inner = prelu(made, depthwise(made, inner, 16, 3, 1), 16)
    x = made.add("ADD", x, conv(made, inner, 16, 8), fusedActivationFunction=0)
    x = prelu(made, conv(made, x, 8, 24, 1, 2), 24)
    x = depthwise(made, x, 24, 8, 1, 1)
    x = conv(made, x, 24, EMBEDDING)
    return made.add("RESHAPE", x, made.constant([-1, EMBEDDING]))


def network(*shape: int, **facts: object) -> Made:
    made = Made()
    shape = shape or (1, SIZE, SIZE, 3)
    made.outputs = [body(made, made.image(*shape, **facts), shape[3])]  # type: ignore[arg-type]
    return made


def saved(made: Made, path: Path) -> str:
    path.write_bytes(made.completed())
    return f"tflite:{path}"


def pixels(count: int = 2, channels: int = 3) -> Array:
    drawn = np.random.default_rng(3).integers(0, 256, (count, channels, SIZE, SIZE))
    return drawn.astype(np.float32)


def infer(exported: Exported, drawn: Array, runtime: str = "onnxruntime") -> Array:
    opened = RUNTIMES[runtime].open(RUNTIMES[runtime].prepare(exported, 1, "host").path, 1)
    return np.concatenate([opened(one[None]) for one in drawn])


def expected(file: bytes, drawn: Array) -> Array:
    """What LiteRT's reference kernels answer, of images (N, C, H, W)."""
    return np.concatenate([run(file, one[None].transpose(0, 2, 3, 1))[0] for one in drawn])


def test_a_network_answers_as_its_file_does_and_channels_move_once(
    tmp_path: Path, cache_folder: Path
) -> None:
    made = network()
    exported = export(resolve(saved(made, tmp_path / "net.tflite")))
    drawn = (pixels() - 127.5) / 128
    known = expected(made.written(), drawn)
    assert relative_error(infer(exported, drawn), known) < 1e-5
    inputs, outputs = exported.reference()
    assert relative_error(outputs, expected(made.written(), inputs)) < 1e-5
    kinds = Counter(one.op_type for one in reading.read(tmp_path / "net.tflite")[0].graph.node)
    assert kinds == {"Transpose": 1, "Conv": 8, "PRelu": 5, "Add": 1, "Reshape": 1, "Identity": 1}


@pytest.mark.parametrize("runtime", ["openvino", "torch", "ncnn", "tvm"])
def test_every_runtime_takes_the_file(runtime: str, tmp_path: Path, cache_folder: Path) -> None:
    if not RUNTIMES[runtime].installed():
        pytest.skip(f"{runtime} is not installed")
    made = network()
    exported = export(resolve(saved(made, tmp_path / "net.tflite")))
    drawn = (pixels() - 127.5) / 128
    found = infer(exported, drawn, runtime)
    assert relative_error(found, expected(made.written(), drawn)) < 1e-4


def litert(exported: Exported, drawn: Array, batch: int = 1) -> Array:
    """What the runtime answers of the user's own file."""
    artifact = RUNTIMES["litert"].prepare(exported, batch, "host").path
    assert (artifact / "network.tflite").is_file()
    opened = RUNTIMES["litert"].open(artifact, 1)
    return np.concatenate([opened(drawn[at : at + batch]) for at in range(0, len(drawn), batch)])


def test_litert_runs_the_file_as_it_is(tmp_path: Path, cache_folder: Path) -> None:
    made = two_outputs()
    name = saved(made, tmp_path / "net.tflite")
    exported = export(resolve(name, output=made.tensors[made.outputs[0]].name))
    artifact = RUNTIMES["litert"].prepare(exported, 1, "host").path
    assert (artifact / "network.tflite").read_bytes() == made.written()
    drawn = (pixels(4) - 127.5) / 128
    known = expected(made.written(), drawn)
    for batch in (1, 4):
        assert relative_error(litert(exported, drawn, batch), known) < 1e-5


def test_litert_takes_grey_raw_and_quantized_images(tmp_path: Path, cache_folder: Path) -> None:
    drawn = (pixels(6) - 127.5) / 128
    grey = network(1, SIZE, SIZE, 1)
    exported = export(
        resolve(saved(grey, tmp_path / "grey.tflite"), preprocessing=Preprocessing("BGR"))
    )
    weighed = np.einsum("nchw,c->nhw", drawn, [0.114, 0.587, 0.299])[:, None].astype(np.float32)
    assert relative_error(litert(exported, drawn), expected(grey.written(), weighed)) < 1e-5
    raw = raw_pixels()
    exported = export(resolve(saved(raw, tmp_path / "raw.tflite")))
    assert relative_error(litert(exported, pixels()), expected(raw.written(), pixels())) < 1e-5
    for kind in ("INT8", "UINT8"):
        made = network()
        made.completed()
        small = quantized(made, drawn.transpose(0, 2, 3, 1)[:, None], kind)
        (tmp_path / f"{kind}.tflite").write_bytes(small.written())
        own = resolve(f"tflite:{tmp_path / kind}.tflite")
        job = Job(Case("latency", own.name, own.weights, "int8", "litert"), own)
        deployed = deploy(job)
        found = litert(deployed.exported, drawn)
        assert cosines(found, expected(small.written(), drawn)).min() > 0.99
        error, checks = deployed.check(deployed.open(1).infer)
        assert all(one.passed for one in checks), error


def counted(name: str) -> Cost:
    network = resolve(name)
    result = obtain_cost(Job(Case("cost", network.name, network.weights), network)).result
    assert isinstance(result, Cost)
    return result


def test_costs_are_those_of_its_layers(tmp_path: Path) -> None:
    cost = counted(saved(network(), tmp_path / "net.tflite"))
    half, quarter = SIZE // 2, SIZE // 4
    weights = [8 * 27, 8 * 9, 8 * 16, 16 * 9, 16 * 8, 8 * 24, 24 * 64, 24 * EMBEDDING]
    places = [half**2] * 5 + [quarter**2, 1, 1]
    assert cost.madds["conv+linear"] == np.dot(weights, places)
    others = 2 * 8 + 2 * 16 + 24 + (8 + 8 + 16 + 16 + 8 + 24 + 24 + EMBEDDING)
    assert cost.parameters == sum(weights) + others


def test_a_quantized_network_is_its_float_one_in_other_digits(
    tmp_path: Path, cache_folder: Path
) -> None:
    made = network()
    name = saved(made, tmp_path / "net.tflite")
    drawn = (pixels(6) - 127.5) / 128
    small = quantized(made, drawn.transpose(0, 2, 3, 1)[:, None])
    (tmp_path / "small.tflite").write_bytes(small.written())
    network_of = resolve(f"tflite:{tmp_path / 'small.tflite'}")
    assert network_of.precision == "int8"
    exported = export(network_of)
    assert exported.facts()["precision"] == "int8"
    known = expected(small.written(), drawn)
    assert cosines(infer(exported, drawn), known).min() > 0.99
    float_known = expected(made.written(), drawn)
    assert cosines(infer(exported, drawn), float_known).min() > 0.9
    costs = [counted(one) for one in (name, f"tflite:{tmp_path / 'small.tflite'}")]
    assert costs[0].madds["conv+linear"] == costs[1].madds["conv+linear"]
    assert costs[0].parameters == costs[1].parameters


def test_weights_in_half_precision_are_those_numbers_in_single(
    tmp_path: Path, cache_folder: Path
) -> None:
    made = network()
    file = made.completed()
    for step in list(made.steps):
        if step.kind == "CONV_2D":
            held = made.tensors[step.inputs[1]]
            assert held.data is not None
            held.kind, held.data = "FLOAT16", held.data.astype(np.float16)
            step.inputs[1] = made.add("DEQUANTIZE", step.inputs[1])
            made.steps.insert(0, made.steps.pop())
    half_file = made.completed()
    assert len(half_file) < len(file)
    name = saved(made, tmp_path / "net.tflite")
    assert resolve(name).precision == "fp32"
    drawn = (pixels() - 127.5) / 128
    known = expected(half_file, drawn)
    assert relative_error(infer(export(resolve(name)), drawn), known) < 1e-5
    assert counted(name).parameters == counted(saved(network(), tmp_path / "own.tflite")).parameters


def test_weights_in_8_bits_alone_are_int8(tmp_path: Path, cache_folder: Path) -> None:
    """Such as a converter's "dynamic range" leaves: activations are real numbers."""
    made = network()
    made.completed()
    for step in made.steps:
        if step.kind == "CONV_2D":
            held = made.tensors[step.inputs[1]]
            assert held.data is not None
            held.scales = (np.abs(held.data).max(axis=(1, 2, 3)) / 127).astype(np.float32)
            held.zeros = np.zeros(len(held.scales), np.int64)
            whole = np.rint(held.data / held.scales.reshape(-1, 1, 1, 1))
            held.kind, held.data = "INT8", whole.astype(np.int8)
    path = tmp_path / "net.tflite"
    path.write_bytes(made.written())
    network_of = resolve(f"tflite:{path}")
    assert network_of.precision == "int8"
    drawn = (pixels() - 127.5) / 128
    found = infer(export(network_of), drawn)
    assert cosines(found, expected(made.written(), drawn)).min() > 0.99


def raw_pixels() -> Made:
    made = Made()
    image = made.image(1, SIZE, SIZE, 3, kind="UINT8")
    real = made.add("CAST", image, inDataType=3, outDataType=0)
    scaled = made.add("MUL", real, made.constant(np.float32(1 / 128)), fusedActivationFunction=0)
    made.outputs = [body(made, scaled)]
    return made


def test_raw_pixels_are_taken_as_they_are(tmp_path: Path, cache_folder: Path) -> None:
    made = raw_pixels()
    network_of = resolve(saved(made, tmp_path / "net.tflite"))
    assert network_of.architecture().preprocessing == RAW
    found = infer(export(network_of), pixels())
    assert relative_error(found, expected(made.written(), pixels())) < 1e-5


def test_a_quantized_image_takes_what_pixels_become(tmp_path: Path, cache_folder: Path) -> None:
    """Its scale says what its integers stand for: preprocessing stays the user's."""
    made = network()
    made.completed()
    drawn = (pixels(6) - 127.5) / 128
    small = quantized(made, drawn.transpose(0, 2, 3, 1)[:, None], "UINT8")
    path = tmp_path / "net.tflite"
    path.write_bytes(small.written())
    own = Preprocessing("RGB", (127.5,) * 3, (128.0,) * 3)
    network_of = resolve(f"tflite:{path}", preprocessing=own)
    assert network_of.architecture().preprocessing == own
    found = infer(export(network_of), drawn)
    assert cosines(found, expected(small.written(), drawn)).min() > 0.99


def test_a_grey_image_is_worked_out(tmp_path: Path, cache_folder: Path) -> None:
    made = network(1, SIZE, SIZE, 1)
    exported = export(resolve(saved(made, tmp_path / "net.tflite")))
    drawn = (pixels() - 127.5) / 128
    grey = np.einsum("nchw,c->nhw", drawn, [0.299, 0.587, 0.114])[:, None].astype(np.float32)
    assert relative_error(infer(exported, drawn), expected(made.written(), grey)) < 1e-5


def test_a_free_size_and_batch_are_asked_for_and_taken(tmp_path: Path, cache_folder: Path) -> None:
    made = Made()
    x = made.image(1, SIZE, SIZE, 3, free=(-1, -1, -1, 3))
    x = conv(made, x, 3, 8, 3, 2, 1)
    x = made.add("MEAN", x, made.constant([1, 2]), keepDims=False)
    made.outputs = [x]
    made.completed()
    for step in made.steps[:1]:
        made.tensors[step.outputs[0]].free = (-1, -1, -1, 8)
    made.tensors[x].free = (-1, 8)
    path = tmp_path / "net.tflite"
    path.write_bytes(made.written())
    with pytest.raises(BadInputError, match="any size.*--size"):
        resolve(f"tflite:{path}").architecture()
    exported = export(resolve(f"tflite:{path}", size=(SIZE, SIZE)))
    assert exported.facts()["batch"] == 0
    drawn = (pixels() - 127.5) / 128
    assert relative_error(infer(exported, drawn), expected(made.written(), drawn)) < 1e-5
    assert relative_error(litert(exported, drawn), expected(made.written(), drawn)) < 1e-5
    odd = export(resolve(f"tflite:{path}", size=(31, 17)))
    made.tensors[made.inputs[0]].shape = (1, 31, 17, 3)
    cut = drawn[:, :, :31, :17]
    known = expected(made.completed(), cut)
    assert relative_error(infer(odd, cut), known) < 1e-5
    assert relative_error(litert(odd, cut, 2), known) < 1e-5


def two_outputs() -> Made:
    made = network()
    head = made.constant(numbers(5, EMBEDDING))
    made.outputs.append(made.add("FULLY_CONNECTED", made.outputs[0], head))
    return made


def test_of_several_outputs_one_is_named(tmp_path: Path, cache_folder: Path) -> None:
    made = two_outputs()
    (image,) = made.inputs
    vector, classes = made.outputs
    made.signatures = {"serving_default": ({"faces": image}, {"vector": vector, "kind": classes})}
    name = saved(made, tmp_path / "net.tflite")
    with pytest.raises(BadInputError, match=r"--output, of vector \(1, 16\), kind \(1, 5\)"):
        resolve(name).architecture()
    network_of = resolve(name, output="kind")
    assert "takes faces, float32 in NHWC; gives kind" in network_of.architecture().note
    drawn = (pixels() - 127.5) / 128
    known = np.concatenate([run(made.written(), one[None].transpose(0, 2, 3, 1))[1]
                            for one in drawn])  # fmt: skip
    assert relative_error(infer(export(network_of), drawn), known) < 1e-5


def test_of_several_signatures_one_is_named(tmp_path: Path) -> None:
    made = two_outputs()
    (image,) = made.inputs
    vector, classes = made.outputs
    made.signatures = {
        "embed": ({"image": image}, {"vector": vector}),
        "both": ({"image": image}, {"vector": vector, "kind": classes}),
    }
    name = saved(made, tmp_path / "net.tflite")
    with pytest.raises(
        BadInputError, match="several signatures: name one with --output, of embed, both"
    ):
        resolve(name).architecture()
    assert resolve(name, output="embed").architecture().embedding_size == EMBEDDING
    assert resolve(name, output="both:kind").architecture().embedding_size == 5
    with pytest.raises(BadInputError, match=r"no output 'other': its outputs are vector"):
        resolve(name, output="embed:other").architecture()


@pytest.mark.parametrize(
    ("kind", "why"),
    [("MyOwnOp", "operator custom MyOwnOp"), ("TRANSPOSE_CONV", "operator TRANSPOSE_CONV")],
)
def test_an_operator_without_a_rule_is_named_where_it_is_needed(
    kind: str, why: str, tmp_path: Path
) -> None:
    made = network()
    (image,), (vector,) = made.inputs, made.outputs
    made.completed()
    other = made.add(kind, vector)
    made.tensors[other].shape = (1, 9)
    made.outputs = [vector, other]
    made.signatures = {"main": ({"image": image}, {"vector": vector, "other": other})}
    path = tmp_path / "net.tflite"
    path.write_bytes(made.written())
    with pytest.raises(BadInputError, match=f"no rule says what its {why} does"):
        resolve(f"tflite:{path}").architecture()
    assert resolve(f"tflite:{path}", output="vector").architecture().embedding_size == EMBEDDING


def test_a_shape_that_is_not_so_is_named(tmp_path: Path) -> None:
    made = network()
    made.completed()
    made.tensors[made.steps[3].outputs[0]].shape = (1, 9, 16, 8)
    (tmp_path / "net.tflite").write_bytes(made.written())
    with pytest.raises(BadInputError, match=r"is said to be \(1, 8, 9, 16\), and comes out as"):
        resolve(f"tflite:{tmp_path / 'net.tflite'}").architecture()


def test_what_reads_itself_is_refused(tmp_path: Path) -> None:
    made = network()
    made.completed()
    made.steps[3].inputs[0] = made.steps[10].outputs[0]
    (tmp_path / "net.tflite").write_bytes(made.written())
    with pytest.raises(BadInputError, match="is read before it is given"):
        resolve(f"tflite:{tmp_path / 'net.tflite'}").architecture()


def test_what_is_no_file_of_tflite_is_one_sentence(tmp_path: Path) -> None:
    for text in (b"", b"PK\x03\x04", b"\0" * 4 + b"TFL2" + b"\0" * 50):
        (tmp_path / "net.tflite").write_bytes(text)
        with pytest.raises(BadInputError, match="is no TFLite file: it does not begin as one"):
            resolve(f"tflite:{tmp_path / 'net.tflite'}").architecture()
    os.mkfifo(tmp_path / "pipe.tflite")
    with pytest.raises(BadInputError, match=r"pipe\.tflite is no file"):
        resolve(f"tflite:{tmp_path / 'pipe.tflite'}")
    with pytest.raises(BadInputError, match="cannot read"):
        resolve(f"tflite:{tmp_path / 'absent.tflite'}")


def test_a_file_that_is_cut_off_or_damaged_is_read_or_refused(
    tmp_path: Path, chance: random.Random
) -> None:
    file = network().completed()
    path = tmp_path / "net.tflite"
    for number in range(150):
        damaged = bytearray(file[: chance.randrange(8, len(file))] if number % 3 == 0 else file)
        for _ in range(chance.randrange(1, 9)):
            # Weights take most of a file; what says where they are comes at its ends.
            damaged[chance.randrange(8, min(4000, len(damaged)) or 9)] = chance.randrange(256)
        path.write_bytes(damaged)
        said = refusal(path)
        assert said is None or (str(path) in said and "\n" not in said)


def refusal(path: Path) -> str | None:
    """What is said of a file that is not read; any other error than that is raised."""
    try:
        reading.read(path)
    except BadInputError as error:
        return str(error)
    return None


def test_lengths_that_a_file_claims_are_not_believed(tmp_path: Path) -> None:
    """Tables may lie over each other, so that a small file unfolds to a large one."""
    made = Made()
    image = made.image(1, 4, 4, 3)
    big = made.constant(np.zeros((1, 64, 64, 64), np.float32))
    made.outputs = [made.add("RELU", image)]
    for _ in range(50):
        made.tensors.append(made.tensors[big])
    path = tmp_path / "net.tflite"
    path.write_bytes(shared(made))
    with pytest.raises(BadInputError, match="bytes of constants"):
        files.TfliteFile(path).graph(0)


def shared(made: Made) -> bytes:
    """The file with all constants in one buffer."""
    from tests.harness.models import tflite_files

    known: dict[int, int] = {}
    make = tflite_files._tensor

    def tensor(schema: object, one: tflite_files.Stored, buffers: list[object]) -> object:
        if id(one) in known:
            empty = make(schema, tflite_files.Stored(one.name, one.shape, one.kind), buffers)
            empty.buffer = known[id(one)]
            return empty
        found = make(schema, one, buffers)
        known[id(one)] = found.buffer
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tflite_files, "_tensor", tensor)
        return made.written()


def test_the_package_with_the_schema_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = saved(network(), tmp_path / "net.tflite")
    monkeypatch.setitem(__import__("sys").modules, "ai_edge_litert.schema_py_generated", None)
    with pytest.raises(UnavailableError, match=r"pip install '\.\[litert\]'"):
        resolve(name)


def test_commands_take_the_file(tmp_path: Path, cache_folder: Path) -> None:
    name = saved(network(), tmp_path / "net.tflite")
    done = CliRunner().invoke(cli, ["cost", name, "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    assert json.loads(done.output)["network"] == "tflite:net.tflite"
    (tmp_path / "bad.tflite").write_bytes(b"no")
    done = CliRunner().invoke(cli, ["cost", f"tflite:{tmp_path / 'bad.tflite'}"])
    assert isinstance(done.exception, FacebenchError)
