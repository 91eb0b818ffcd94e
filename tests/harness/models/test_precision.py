"""A network in fewer bits: smaller, near to itself, and never tested on what it was tuned on."""

import io
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

from facebench.architectures.errors import (
    BadInputError,
    RefusedError,
    UnknownNameError,
    WrongAnswerError,
)
from facebench.architectures.registry import Preprocessing
from facebench.harness.models import export, networks, precision, quantize
from facebench.harness.models.export import Exported
from facebench.harness.models.precision import PRECISIONS, Calibration, agreement, lower
from facebench.harness.runtimes.registry import RUNTIMES
from facebench.harness.stats.arrays import FloatArray, Picture
from facebench.harness.verification.alignment import TEMPLATES
from facebench.harness.verification.datasets.registry import DATASETS
from facebench.harness.verification.faces import FaceSet, Pair, PairSet
from tests.harness.conftest import SIZE
from tests.sampling import covering

# With PReLU, and with shuffles and an average pooling.
SMALL = ("mobilefacenet_s", "shufflenet_v1")
PUBLIC = Preprocessing("RGB", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))


@pytest.fixture(scope="module")
def drawn() -> FaceSet:
    return DATASETS["synthetic"].open(None)


@pytest.fixture(scope="module")
def calibration(drawn: FaceSet) -> Calibration:
    return precision.calibration_of(drawn, Preprocessing(), (112, 112), count=6)


@pytest.fixture(scope="module")
def small(request: pytest.FixtureRequest) -> Exported:
    return export.export(networks.resolve(request.param))


@pytest.fixture
def tiny_calibration() -> Calibration:
    rng = np.random.default_rng(0)
    pictures = tuple(rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8) for _ in range(4))
    return Calibration("noise", pictures, Preprocessing())


def embed(exported: Exported, inputs: FloatArray, runtime: str = "onnxruntime") -> FloatArray:
    chosen = RUNTIMES[runtime]
    session = chosen.open(chosen.prepare(exported, 1, "host").path, 1)
    return np.concatenate([session(image[None]).copy() for image in inputs])


def inputs_of(calibration: Calibration) -> FloatArray:
    return np.concatenate(list(calibration.batches(5)))


@pytest.mark.parametrize(("small", "name"), covering(SMALL, [*PRECISIONS]), indirect=["small"])
def test_a_lowered_network_embeds_faces_nearly_as_before(
    small: Exported, name: str, calibration: Calibration
) -> None:
    lowered = lower(small, name, calibration)
    inputs = inputs_of(calibration)
    found = agreement(embed(lowered, inputs), embed(small, inputs))
    least = {"fp32": 1 - 1e-12, "fp16": 0.9999, "int8": 0.9}[name]
    assert found.lowest_cosine >= least
    assert found.median_cosine >= found.lowest_cosine
    if name != "int8":
        assert found.relative_error <= precision.TOLERANCE[name]


@pytest.mark.parametrize(
    ("small", "how"),
    covering(
        SMALL, [("fp16", onnx.TensorProto.FLOAT16, 1.8), ("int8", onnx.TensorProto.INT8, 2.5)]
    ),
    indirect=["small"],
)
def test_weights_really_are_in_fewer_bits(
    small: Exported, how: tuple[str, int, float], calibration: Calibration
) -> None:
    name, kind, least = how
    lowered = lower(small, name, calibration)
    assert weights(lowered, kind) >= 0.9 * weights(small, onnx.TensorProto.FLOAT)
    assert small.onnx.stat().st_size / lowered.onnx.stat().st_size > least


def weights(exported: Exported, kind: int) -> int:
    """Elements of the initializers of one type."""
    tensors = onnx.load(exported.onnx).graph.initializer
    # A stored scalar is a scale or a zero point.
    return sum(int(np.prod(t.dims)) for t in tensors if t.data_type == kind and len(t.dims) > 1)


@pytest.mark.parametrize(
    ("small", "runtime"),
    covering(SMALL, [one.name for one in RUNTIMES if "int8" in one.precisions_on()]),
    indirect=["small"],
)
def test_every_runtime_that_runs_int8_agrees_on_it(
    small: Exported, runtime: str, calibration: Calibration
) -> None:
    if not RUNTIMES[runtime].installed():
        pytest.skip(f"{runtime} is not installed: {RUNTIMES[runtime].install}")
    inputs = inputs_of(calibration)
    lowered = lower(small, "int8", calibration, RUNTIMES[runtime].int8)
    found = embed(lowered, inputs, runtime)
    assert agreement(found, embed(small, inputs)).lowest_cosine > 0.9


def test_int8_convolutions_have_a_scale_for_each_channel_and_seven_bits(
    tiny_exported: Exported, tiny_calibration: Calibration
) -> None:
    model = onnx.load(lower(tiny_exported, "int8", tiny_calibration).onnx)
    stored = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    kernels = {n: v for n, v in stored.items() if v.dtype == np.int8 and v.ndim == 4}
    assert len(kernels) == 3
    for name, kernel in kernels.items():
        node = next(n for n in model.graph.node if name in n.input)
        assert stored[node.input[1]].shape == (len(kernel),)
        assert not stored[node.input[2]].any()
        assert np.abs(kernel.astype(int)).max() <= 64


def test_a_prelu_stays_in_single_precision(
    tiny_exported: Exported, tiny_calibration: Calibration
) -> None:
    model = onnx.load(lower(tiny_exported, "int8", tiny_calibration).onnx)
    prelu = next(node for node in model.graph.node if node.op_type == "PRelu")
    before = next(node for node in model.graph.node if prelu.input[0] in node.output)
    after = next(node for node in model.graph.node if prelu.output[0] in node.input)
    assert (before.op_type, after.op_type) == ("DequantizeLinear", "QuantizeLinear")


def test_a_lowered_network_says_how_it_was_made(
    tiny_exported: Exported, tiny_calibration: Calibration
) -> None:
    lowered = lower(tiny_exported, "int8", tiny_calibration)
    facts = lowered.facts()
    assert facts["lowered"]["calibration_digest"] == tiny_calibration.digest
    assert facts["lowered"]["images"] == 4
    assert {k: v for k, v in facts.items() if k != "lowered"} == tiny_exported.facts()
    for found, known in zip(lowered.reference(), tiny_exported.reference(), strict=True):
        np.testing.assert_array_equal(found, known)


def test_faithfulness_is_a_check_of_int8_alone(
    tiny_exported: Exported, tiny_calibration: Calibration, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert precision.faithful(tiny_exported) is None
    assert precision.faithful(lower(tiny_exported, "fp16")) is None
    lowered = lower(tiny_exported, "int8", tiny_calibration)
    check = precision.faithful(lowered)
    assert check is not None
    assert check.passed
    assert "4 faces of noise: lowest 0.99" in check.detail
    monkeypatch.setattr(precision, "LEAST_COSINE", 1.01)
    check = precision.faithful(lowered)
    assert check is not None
    assert not check.passed


def test_a_second_call_finds_the_first_ones_file(
    tiny_exported: Exported, tiny_calibration: Calibration, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = [lower(tiny_exported, name, tiny_calibration) for name in PRECISIONS]
    assert first[0] is tiny_exported
    assert len({one.folder for one in first}) == 3
    monkeypatch.setattr(quantize, "halve", None)
    monkeypatch.setattr(quantize, "quantize", None)
    assert [lower(tiny_exported, name, lambda: tiny_calibration) for name in PRECISIONS] == first


def test_other_faces_make_another_file(
    tiny_exported: Exported, tiny_calibration: Calibration
) -> None:
    fewer = replace(tiny_calibration, pictures=tiny_calibration.pictures[:2])
    assert lower(tiny_exported, "int8", fewer) != lower(tiny_exported, "int8", tiny_calibration)


def test_faces_are_not_drawn_where_no_one_needs_them(tiny_exported: Exported) -> None:
    def never() -> Calibration:
        raise AssertionError

    for name in ("fp32", "fp16"):
        lower(tiny_exported, name, never)


def test_an_unknown_precision_is_answered_with_those_known(tiny_exported: Exported) -> None:
    with pytest.raises(UnknownNameError, match="'int4': use one of fp32, fp16, int8"):
        lower(tiny_exported, "int4")


def test_int8_without_faces_is_refused(tiny_exported: Exported) -> None:
    with pytest.raises(RefusedError, match="give a calibration data set"):
        lower(tiny_exported, "int8")


def test_a_network_without_weights_to_quantize_is_refused(
    tmp_path: Path, tiny_calibration: Calibration
) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
    plain (float[N, 3, 16, 16] image) => (float[N, 3] embedding) {
        bent = Tanh(image)
        pooled = GlobalAveragePool(bent)
        embedding = Flatten(pooled)
    }"""
    onnx.save(onnx.parser.parse_model(text), tmp_path / "plain.onnx")
    with pytest.raises(RefusedError, match="plain has no operator whose weights .*: use fp32"):
        quantize.quantize(
            "plain", tmp_path / "plain.onnx", tmp_path / "out.onnx", inputs_of(tiny_calibration)
        )


def test_a_file_that_the_quantizer_cannot_read_is_refused_in_one_sentence(
    tmp_path: Path, tiny_calibration: Calibration
) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no graph")
    with pytest.raises(RefusedError, match="bad cannot be quantized to int8 .*: use fp32 or fp16"):
        quantize.quantize(
            "bad", tmp_path / "bad.onnx", tmp_path / "out.onnx", inputs_of(tiny_calibration)
        )


def test_files_as_old_exporters_write_them_have_the_same_int8(
    tiny_exported: Exported, tmp_path: Path, tiny_calibration: Calibration
) -> None:
    model = onnx.load(tiny_exported.onnx)
    listed = [
        onnx.helper.make_tensor_value_info(one.name, one.data_type, one.dims)
        for one in model.graph.initializer
    ]
    model.graph.input.extend(listed)
    stale = onnx.helper.make_tensor_value_info("removed", onnx.TensorProto.FLOAT, [1, 8, 4, 4])
    model.graph.value_info.append(stale)
    onnx.save(model, tmp_path / "old.onnx")
    images = inputs_of(tiny_calibration)
    found = []
    for source in (tiny_exported.onnx, tmp_path / "old.onnx"):
        quantize.quantize("tiny", source, tmp_path / "int8.onnx", images)
        session = onnxruntime.InferenceSession(tmp_path / "int8.onnx")
        found.append(np.concatenate(session.run(None, {"image": images[:1]})))
    assert np.array_equal(*found)


def test_outputs_too_far_off_are_a_wrong_answer() -> None:
    known = np.eye(3, dtype=np.float32)
    exact, off = agreement(known, known), agreement(known * np.float32(1.05), known)
    assert (exact.relative_error, exact.lowest_cosine) == (0, 1)
    assert off.lowest_cosine == pytest.approx(1)
    for name in PRECISIONS:
        precision.require_agreement("net", name, exact)
    precision.require_agreement("net", "int8", off)
    with pytest.raises(
        WrongAnswerError, match="net in fp16 differs from the network itself by 5.0e-02"
    ):
        precision.require_agreement("net", "fp16", off)


@pytest.mark.parametrize("name", PRECISIONS)
def test_outputs_that_are_not_finite_are_a_wrong_answer(name: str) -> None:
    known = np.eye(3, dtype=np.float32)
    found = agreement(np.where(known, np.nan, known), known)
    assert found.relative_error > precision.TOLERANCE[name]
    with pytest.raises(WrongAnswerError, match=f"net in {name} gives embeddings that are not fin"):
        precision.require_agreement("net", name, found)


def test_an_embedding_of_zeros_is_like_none() -> None:
    known = np.eye(2, dtype=np.float32)
    assert agreement(known * np.array([[0], [1]], np.float32), known).lowest_cosine == 0


def test_a_runtime_refuses_a_precision_and_names_those_that_run_it() -> None:
    RUNTIMES["onnxruntime"].require("int8")
    # Their order is that in which modules were imported.
    with pytest.raises(RefusedError, match="fp32, not int8: use .*onnxruntime.* or openvino for"):
        RUNTIMES["ncnn"].require("int8")
    with pytest.raises(RefusedError, match="no runtime runs int4: use fp32"):
        RUNTIMES["ncnn"].require("int4")


class Memory:
    """Files that are only in memory."""

    def __init__(self, data: dict[str, bytes]) -> None:
        self._data = data

    def __contains__(self, name: object) -> bool:
        return name in self._data

    def read(self, name: str) -> bytes:
        return self._data[name]

    def describe(self, name: str) -> str:
        return name


def faces_of(name: str, data: dict[str, bytes], people: dict[str, str]) -> PairSet:
    points = dict.fromkeys(data, TEMPLATES[112, 112])
    pairs = tuple(Pair(key, key, True, 0) for key in data)
    return PairSet(name, "", Memory(data), points, people, pairs)


def test_faces_are_drawn_evenly_over_people() -> None:
    flat = [png(np.full((112, 112, 3), number, np.uint8)) for number in range(22)]
    many = {f"a{number}": flat[number] for number in range(20)}
    few = {"b0": flat[20], "c0": flat[21]}
    people = {key: key[0] for key in (*many, *few)}
    opened: list[str] = []

    class Counted(PairSet):
        def picture(self, key: str) -> Picture:
            opened.append(key[0])
            return super().picture(key)

    base = faces_of("all", many | few, people)
    counted = Counted(base.name, "", base.files, base.landmarks, people, base.pairs)
    drawn = precision.calibration_of(counted, Preprocessing(), (112, 112), count=4)
    assert sorted(opened) == ["a", "a", "b", "c"]
    assert next(drawn.batches(4)).shape == (4, 3, 112, 112)


def test_the_draw_is_the_same_each_time_and_another_with_another_seed(drawn: FaceSet) -> None:
    digests = [
        precision.calibration_of(drawn, Preprocessing(), (112, 96), 5, seed).digest
        for seed in (0, 0, 1)
    ]
    assert digests[0] == digests[1] != digests[2]


def test_a_set_whose_landmarks_are_of_no_image_cannot_calibrate() -> None:
    others = replace(faces_of("none", {"a": b""}, {}), landmarks={"b": TEMPLATES[112, 112]})
    with pytest.raises(BadInputError, match="dataset none has no face to calibrate"):
        precision.calibration_of(others, Preprocessing(), (112, 112))


def png(drawn: Picture) -> bytes:
    file = io.BytesIO()
    Image.fromarray(drawn).save(file, "PNG")
    return file.getvalue()


def test_pictures_that_are_all_the_same_cannot_calibrate() -> None:
    flat = {key: png(np.zeros((112, 112, 3), np.uint8)) for key in "ab"}
    with pytest.raises(BadInputError, match="all 2 images of flat .* are the same"):
        precision.calibration_of(faces_of("flat", flat, {}), Preprocessing(), (112, 112))


def test_faces_without_landmarks_are_aligned_crops() -> None:
    """Crops calibrate as the same images do of which the template's points are written down."""
    rng = np.random.default_rng(0)
    drawn = {key: rng.integers(0, 256, (112, 112, 3), np.uint8) for key in "abcd"}
    placed = faces_of("faces", {key: png(each) for key, each in drawn.items()}, {})
    crops = replace(placed, landmarks={})
    found, same = (
        precision.calibration_of(each, Preprocessing(), (112, 112)) for each in (crops, placed)
    )
    assert found.digest == same.digest
    assert {each.tobytes() for each in found.pictures} == {
        each.tobytes() for each in drawn.values()
    }


def test_a_folder_of_people_with_one_image_each_calibrates(tmp_path: Path) -> None:
    """No pair of one person can be drawn of it, but nothing is compared."""
    rng = np.random.default_rng(0)
    for name in "abc":
        (tmp_path / name).mkdir()
        crop = png(rng.integers(0, 256, (112, 112, 3), np.uint8))
        (tmp_path / name / "0.png").write_bytes(crop)
    folder = DATASETS[f"folder:{tmp_path}"]
    with pytest.raises(BadInputError):
        folder.open(None)
    faces = folder.images(None)
    found = precision.calibration_of(faces, Preprocessing(), (112, 112))
    assert (found.name, len(found.pictures)) == (f"folder:{tmp_path.name}", 3)
    with pytest.raises(RefusedError, match="b is in both data sets"):
        precision.require_disjoint(faces, faces_of("test", {"c": b"3"}, {"c": "b"}))


def test_crops_of_which_it_is_not_known_where_the_face_is_cannot_calibrate() -> None:
    crop = png(np.zeros((90, 100, 3), np.uint8))
    crops = replace(faces_of("faces", {"a": crop}, {}), landmarks={})
    with pytest.raises(BadInputError, match=r"a is 90x100, and .* give landmarks\.csv"):
        precision.calibration_of(crops, Preprocessing(), (112, 112))


def test_a_face_that_cannot_be_decoded_is_named() -> None:
    with pytest.raises(BadInputError, match="a.jpg is truncated or no image"):
        precision.calibration_of(
            faces_of("bad", {"a.jpg": b"no image"}, {}), Preprocessing(), (112, 112)
        )


def test_faces_of_calibration_and_test_are_kept_apart() -> None:
    first = faces_of("one", {"a": b"1", "b": b"2"}, {"a": "Ann", "b": "Bob"})
    precision.require_disjoint(first, faces_of("two", {"c": b"3"}, {"c": "Cid"}))
    precision.require_disjoint(first, faces_of("two", {"c": b"3"}, {}))
    with pytest.raises(RefusedError, match="Bob is in both data sets: .*one is not scored on two"):
        precision.require_disjoint(first, faces_of("two", {"c": b"3"}, {"c": "Bob"}))
    with pytest.raises(RefusedError, match="c is the same image as b: .*calibrate on another"):
        precision.require_disjoint(first, faces_of("two", {"c": b"2"}, {"c": "Cid"}))


def real_faces(archive: Path) -> Iterator[Picture]:
    """One face a person, `(112, 112, 3)`, in an order that mixes the archive's sources."""
    with tarfile.open(archive) as opened:
        people = {m.name.split("/")[-2]: m for m in opened if m.isreg()}
        for name in np.random.default_rng(0).permutation(sorted(people)):
            file = opened.extractfile(people[name])
            assert file is not None
            yield np.asarray(Image.open(file).convert("RGB"))


@pytest.mark.slow
@pytest.mark.parametrize("source", ["drawn", "real"])
def test_int8_of_a_trained_network_is_near_fp32_on_other_faces(
    source: str, drawn: FaceSet, data_root: Path
) -> None:
    path, archive = data_root / "mobilefacenet_public.onnx", data_root / "train-faces-112.tar"
    if not path.is_file() or not archive.is_file():
        pytest.skip(f"{path.name} and {archive.name} are not both in {data_root}")
    faces = real_faces(archive)
    known = tuple(next(faces) for _ in range(256))
    others = Calibration("others", tuple(next(faces) for _ in range(256)), PUBLIC)
    exported = export.export(networks.resolve(f"onnx:{path}", None, PUBLIC))
    if source == "drawn":
        calibration = precision.calibration_of(drawn, PUBLIC, (112, 112))
    else:
        calibration = Calibration("train-faces-112", known, PUBLIC)
    inputs = inputs_of(others)
    found = agreement(embed(lower(exported, "int8", calibration), inputs), embed(exported, inputs))
    print(f"\n{source}: cosine lowest {found.lowest_cosine:.3f} median {found.median_cosine:.4f}")
    # Measured 0.95 and 0.989 with either set: AMD EPYC with AVX2, no VNNI.
    assert found.lowest_cosine > 0.85
    assert found.median_cosine > 0.98
