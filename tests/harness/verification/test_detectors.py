"""Detectors: their geometry against closed forms, and whole chains on networks made here."""

import sys

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper, parser

from facebench.architectures.errors import BadInputError, UnavailableError, UnknownNameError
from facebench.harness.verification.datasets.registry import DATASETS
from facebench.harness.verification.detectors import mtcnn, scrfd
from facebench.harness.verification.detectors.boxes import areas, choose, overlaps, suppress
from facebench.harness.verification.detectors.registry import DETECTORS, installed_folder
from facebench.harness.verification.faces import PairSet

HEADER = '<ir_version: 8, opset_import: ["" : 17]>'
RED = np.array([255, 0, 0], np.uint8)
# Landmarks of a "face": from the middle of a red square, in parts of its side.
POINTS = np.array([[-0.2, -0.15], [0.2, -0.15], [0.0, 0.05], [-0.15, 0.25], [0.15, 0.25]])


def save(path, text, **arrays):
    """Write a network in ONNX's own notation, with these arrays as its constants."""
    model = parser.parse_model(f"{HEADER} {text}")
    for name, array in arrays.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    onnx.save(model, path)
    return path


def with_square(height, width, left, top, side, colour=RED):
    picture = np.zeros((height, width, 3), np.uint8)
    picture[top : top + side, left : left + side] = colour
    return picture


# --- Boxes ---

grid_boxes = st.lists(
    st.tuples(*[st.integers(0, 8)] * 2, *[st.integers(1, 5)] * 2, st.integers(0, 5)),
    min_size=1,
    max_size=8,
)


def pixels(box):
    x, y, width, height, _ = box
    return {(i, j) for i in range(x, x + width) for j in range(y, y + height)}


def shared(a, b, of_smaller):
    both = len(pixels(a) & pixels(b))
    smaller = min(len(pixels(a)), len(pixels(b)))
    return both / (smaller if of_smaller else len(pixels(a) | pixels(b)))


@given(grid_boxes, st.sampled_from([0.0, 0.3, 0.5, 0.7]), st.booleans())
def test_suppression_agrees_with_counting_pixels(drawn, most, of_smaller):
    kept = []
    for row in sorted(range(len(drawn)), key=lambda row: (-drawn[row][4], row)):
        if all(shared(drawn[row], drawn[other], of_smaller) <= most for other in kept):
            kept.append(row)
    rows = np.array(drawn, float)
    boxes = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
    assert suppress(boxes, rows[:, 4], most, of_smaller=of_smaller).tolist() == kept


def test_boxes_without_area_share_nothing():
    point = np.array([[5.0, 5, 5, 5], [9, 9, 3, 3]])
    assert areas(point).tolist() == [0, 0]
    assert overlaps(point[0], point).tolist() == [0, 0]


def test_nothing_suppressed_is_nothing():
    assert suppress(np.empty((0, 4)), np.empty(0), 0.5).tolist() == []


@pytest.mark.parametrize(
    ("boxes", "chosen"),
    [
        ([[100, 100, 150, 150], [80, 80, 170, 170]], 1),  # the larger
        ([[0, 0, 80, 80], [90, 90, 150, 150]], 1),  # the nearer, though smaller
        ([[0, 0, 200, 200], [120, 120, 130, 130]], 0),  # large enough to be meant
    ],
)
def test_the_face_that_matters_is_large_and_central(boxes, chosen):
    assert choose(np.array(boxes, float), 250, 250) == chosen


# --- SCRFD ---


def make_scrfd(path, size=(640, 640), order=None, offsets=POINTS, sigmoid=True, batch="1"):
    """A network that sees a red square of 16 pixels, at multiples of 16, with stride 16 alone."""
    height, width = size
    lines, arrays, outputs = [], {"zero": [0], "one": np.float32(1), "flat": [-1, 1]}, {}
    for stride in scrfd.STRIDES:
        count = scrfd.ANCHORS * (height // stride) * (width // stride)
        gain = 0.45 if stride == 16 else 0.2
        # The second prediction of each place is less sure, and wrong.
        doubles = np.array([1.0, 0.9], np.float32).reshape(1, 2, 1, 1)
        arrays[f"gain{stride}"] = (gain if sigmoid else 10 * gain) * doubles
        arrays[f"b{stride}"] = np.tile(np.float32([[0, 0, 1, 1], [0.2, 0, 1, 1]]), (count // 2, 1))
        points = (offsets + 0.5).ravel()
        arrays[f"k{stride}"] = np.tile(np.float32([points, points + 1]), (count // 2, 1))
        lines += [
            f"m{stride}=AveragePool<kernel_shape=[{stride},{stride}],strides=[{stride},{stride}]>(u)",
            f"g{stride}=Mul(m{stride}, gain{stride})",
            f"t{stride}=Transpose<perm=[0,2,3,1]>(g{stride})",
            f"score{stride}=Reshape(t{stride}, flat)",
            f"box{stride}=Identity(b{stride})",
            f"kps{stride}=Identity(k{stride})",
        ]
        for name, columns in (("score", 1), ("box", 4), ("kps", 10)):
            outputs[f"{name}{stride}"] = f"float[{count},{columns}] {name}{stride}"
    order = order or [f"{n}{s}" for n in ("score", "box", "kps") for s in scrfd.STRIDES]
    text = (
        f"scrfd (float[{batch},3,{height},{width}] image) => "
        f"({', '.join(outputs[name] for name in order)}) "
        f"{{ red=Gather<axis=1>(image, zero) u=Add(red, one) {' '.join(lines)} }}"
    )
    return save(path, text, **{name: np.asarray(value) for name, value in arrays.items()})


def test_places_are_multiples_of_the_stride_each_twice():
    at = scrfd.places((16, 24), 8)
    assert at.tolist() == [[x, y] for y in (0, 8) for x in (0, 8, 16) for _ in range(2)]


def test_a_prediction_is_decoded_in_units_of_the_stride():
    boxes, points = scrfd.decode(
        np.array([[32.0, 16.0]]), np.array([[1.0, 0.5, 2, 3]]), np.arange(10.0)[None], 16
    )
    assert boxes.tolist() == [[16, 8, 64, 64]]
    assert points[0, 0].tolist() == [32, 32]
    assert points[0, 4].tolist() == [32 + 8 * 16, 16 + 9 * 16]


@pytest.mark.parametrize("shape", [(250, 250), (100, 400), (900, 300), (1, 5000)])
def test_the_letterbox_keeps_the_proportions_and_adds_black(shape):
    inputs, scale = scrfd.letterbox(np.full((*shape, 3), 255, np.uint8), (640, 640))
    assert inputs.shape == (1, 640, 640, 3)
    white = inputs[0, ..., 0] > 0
    height, width = white.any(axis=1).sum(), white.any(axis=0).sum()
    assert max(height, width) == 640
    assert height == max(1, round(shape[0] * scale))
    assert width == max(1, round(shape[1] * scale))
    np.testing.assert_allclose(inputs[0, ..., 0][~white], -127.5 / 128)


def test_half_the_share_of_the_input_is_half_the_scale():
    picture = np.full((112, 92, 3), 255, np.uint8)
    (_, whole), (inputs, half) = (scrfd.letterbox(picture, (640, 640), s) for s in (1.0, 0.5))
    assert half == whole / 2
    assert (inputs[0, ..., 0] > 0).any(axis=1).sum() == 320


def test_a_face_that_fills_the_picture_is_looked_for_again_smaller(monkeypatch):
    tried = []
    points = np.arange(10.0).reshape(1, 5, 2)

    def faces(detector, picture, share):
        tried.append(share)
        count = int(share < 1)
        return scrfd.Faces(np.array([[0, 0, 9, 9.0]])[:count], np.ones(count), points[:count])

    monkeypatch.setattr(scrfd.Scrfd, "faces", faces)
    detector = scrfd.Scrfd.__new__(scrfd.Scrfd)
    np.testing.assert_array_equal(detector(np.zeros((9, 9, 3), np.uint8)), points[0])
    assert tried == [1.0, 0.5]


@pytest.mark.parametrize(
    ("size", "picture_size", "scale"),
    [
        ((640, 640), (640, 640), 1),
        ((640, 640), (320, 200), 2),
        ((640, 640), (1280, 1280), 0.5),
        ((320, 320), (160, 160), 2),
        ((320, 640), (160, 320), 2),
    ],
)
def test_scrfd_finds_what_its_network_sees(tmp_path, size, picture_size, scale):
    find = DETECTORS["scrfd"].open(make_scrfd(tmp_path / "kps.onnx", size))
    left, top, side = 48 / scale, 80 / scale, 16 / scale
    found = find(with_square(*picture_size, int(left), int(top), int(side)))
    expected = np.array([left, top]) + (POINTS + 0.5) * side
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_scrfd_looks_at_colours_in_the_order_red_green_blue(tmp_path):
    find = DETECTORS["scrfd"].open(make_scrfd(tmp_path / "kps.onnx"))
    assert find(with_square(640, 640, 48, 80, 16, RED[::-1])) is None


def test_of_two_faces_scrfd_returns_the_central_one(tmp_path):
    find = DETECTORS["scrfd"].open(make_scrfd(tmp_path / "kps.onnx"))
    picture = with_square(640, 640, 0, 0, 16)
    picture[304:320, 320:336] = RED
    assert np.linalg.norm(find(picture).mean(axis=0) - 320) < 20


def test_the_order_of_scrfds_outputs_is_read_from_their_shapes(tmp_path):
    names = [f"{n}{s}" for s in (32, 8, 16) for n in ("kps", "score", "box")]
    picture = with_square(640, 640, 48, 80, 16)
    plain = DETECTORS["scrfd"].open(make_scrfd(tmp_path / "a.onnx"))
    other = DETECTORS["scrfd"].open(make_scrfd(tmp_path / "b.onnx", order=names))
    np.testing.assert_array_equal(plain(picture), other(picture))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": [f"{n}{s}" for n in ("score", "box") for s in (8, 16, 32)]}, "no SCRFD.*'kps'"),
        ({"sigmoid": False}, "not 0 to 1: export it with its sigmoid"),
        ({"batch": "8"}, "neither .N, 3, H, W. nor"),
    ],
)
def test_a_network_that_is_not_scrfd_is_refused(tmp_path, options, message):
    path = make_scrfd(tmp_path / "kps.onnx", **options)
    with pytest.raises(BadInputError, match=message) as caught:
        DETECTORS["scrfd"].open(path)
    assert str(path) in str(caught.value)


# --- MTCNN ---

# From a picture in the export's own layout to (N, 3, H, W), and back for maps.
LAYOUTS = {
    (False, False): ([0, 1, 2, 3], [0, 1, 2, 3]),
    (True, False): ([0, 3, 1, 2], [0, 2, 3, 1]),
    (False, True): ([0, 1, 3, 2], [0, 1, 3, 2]),
    (True, True): ([0, 3, 2, 1], [0, 3, 2, 1]),
}


def picture_type(side, channels_last, batch):
    sides = ["H", "W"] if side is None else [str(side)] * 2
    return f"float[{','.join([batch, *sides, '3'] if channels_last else [batch, '3', *sides])}]"


def make_pnet(path, channels_last, transposed, batch="N"):
    """Sees red: twice the part of a window that is red is how sure it is."""
    there, back = LAYOUTS[channels_last, transposed]
    text = f"""
    pnet ({picture_type(None, channels_last, batch)} given)
      => (float[a,b,c,d] box, float[a,b,c,e] score) {{
      image = Transpose<perm={there}>(given)
      red = Gather<axis=1>(image, zero)
      raised = Add(red, one)
      twice = AveragePool<kernel_shape=[12,12],strides=[2,2]>(raised)
      face = Clip(twice, low, one)
      none = Sub(one, face)
      both = Concat<axis=1>(none, face)
      still = Mul(both, low)
      shift = Concat<axis=1>(still, still)
      box = Transpose<perm={back}>(shift)
      score = Transpose<perm={back}>(both)
    }}"""
    return save(path, text, zero=[0], one=np.float32(1), low=np.float32(0))


def make_refining(path, size, channels_last, transposed, margin, heads, **options):
    """Finds the red square that lies whole in the window: its middle and its side.

    Args:
        margin: what it makes of the box: the square's side times this.
        heads: the names of its outputs in order: score, box, points.
    """
    there, _ = LAYOUTS[channels_last, transposed]
    shapes = {"score": "float[N,2] score", "box": "float[N,4] box", "points": "float[N,10] points"}
    text = f"""
    refining ({picture_type(size, channels_last, options.get("batch", "N"))} given)
      => ({", ".join(shapes[head] for head in heads)}) {{
      image = Transpose<perm={there}>(given)
      red = Gather<axis=1>(image, zero)
      raised = Add(red, one)
      halved = Mul(raised, half)
      mask = Clip(halved, low, one)
      all = ReduceMean<axes=[2,3],keepdims=0>(mask)
      mass = Max(all, tiny)
      along_x = Mul(mask, x)
      along_y = Mul(mask, y)
      sum_x = ReduceMean<axes=[2,3],keepdims=0>(along_x)
      sum_y = ReduceMean<axes=[2,3],keepdims=0>(along_y)
      cx = Div(sum_x, mass)
      cy = Div(sum_y, mass)
      side = Sqrt(mass)
      reach = Mul(side, arm)
      left = Sub(cx, reach)
      top = Sub(cy, reach)
      right_edge = Add(cx, reach)
      bottom_edge = Add(cy, reach)
      right = Sub(right_edge, one)
      bottom = Sub(bottom_edge, one)
      box = Concat<axis=1>(left, top, right, bottom)
      at_x = Mul(side, points_x)
      at_y = Mul(side, points_y)
      px = Add(at_x, cx)
      py = Add(at_y, cy)
      points = Concat<axis=1>(px, py)
      rim = Mul(mask, ring)
      touching = ReduceMean<axes=[2,3],keepdims=0>(rim)
      enough = Mul(mass, five)
      sure = Clip(enough, low, one)
      free = Sub(one, touching)
      clear = Clip(free, low, one)
      face = Mul(sure, clear)
      none = Sub(one, face)
      score = Concat<axis=1>({options.get("score", "none, face")})
    }}"""
    middle = (np.arange(size, dtype=np.float32) + 0.5) / size
    ring = np.ones((size, size), np.float32)
    ring[1:-1, 1:-1] = 0
    return save(
        path,
        text,
        zero=[0],
        one=np.float32(1),
        low=np.float32(0),
        half=np.float32(0.5),
        five=np.float32(5),
        tiny=np.float32(1e-6),
        arm=np.float32(margin / 2),
        x=middle,
        y=middle[:, None],
        ring=ring * np.float32(3 * ring.size / ring.sum()),
        points_x=np.float32(POINTS[:, 0])[None],
        points_y=np.float32(POINTS[:, 1])[None],
    )


def make_mtcnn(folder, channels_last=False, transposed=False, turned=False, batch="N"):
    heads = ["points", "score", "box"] if turned else ["box", "points", "score"]
    layout = (channels_last, transposed)
    make_pnet(folder / "pnet.onnx", *layout)
    two = [head for head in heads if head != "points"]
    make_refining(folder / "rnet.onnx", 24, *layout, margin=1.5, heads=two, batch=batch)
    make_refining(folder / "onet.onnx", 48, *layout, margin=1.0, heads=heads, batch=batch)
    return folder


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_mtcnn_finds_what_its_networks_see_however_they_were_exported(
    tmp_path, channels_last, transposed, turned
):
    find = DETECTORS["mtcnn"].open(make_mtcnn(tmp_path, channels_last, transposed, turned))
    left, top, side = 90, 41, 48
    found = find(with_square(200, 260, left, top, side))
    expected = np.array([left, top]) + (POINTS + 0.5) * side
    assert found.dtype == np.float64
    assert np.abs(found - expected).max() < 1


@pytest.mark.parametrize("side", [24, 40, 100, 180])
def test_the_pyramid_finds_faces_of_all_sizes(tmp_path, side):
    find = DETECTORS["mtcnn"].open(make_mtcnn(tmp_path))
    found = find(with_square(480, 500, 83, 60, side))
    expected = np.array([83, 60]) + (POINTS + 0.5) * side
    assert np.abs(found - expected).max() < max(1, 0.02 * side)


def test_a_face_at_the_edge_is_seen_against_black(tmp_path):
    find = DETECTORS["mtcnn"].open(make_mtcnn(tmp_path))
    # The window that the last network sees is 72 pixels wide.
    found = find(with_square(200, 200, 8, 8, 48))
    assert np.abs(found - (8 + (POINTS + 0.5) * 48)).max() < 1


@pytest.mark.parametrize("shape", [(200, 200), (12, 300), (5, 5)])
def test_without_a_face_mtcnn_finds_none(tmp_path, shape):
    find = DETECTORS["mtcnn"].open(make_mtcnn(tmp_path))
    assert find(np.zeros((*shape, 3), np.uint8)) is None


def test_a_batch_fixed_at_one_is_fed_one_by_one(tmp_path):
    one, many = tmp_path / "one", tmp_path / "many"
    picture = with_square(200, 260, 90, 41, 48)
    found = []
    for folder, batch in ((one, "1"), (many, "N")):
        folder.mkdir()
        found.append(DETECTORS["mtcnn"].open(make_mtcnn(folder, batch=batch))(picture))
    np.testing.assert_allclose(*found, atol=1e-3)


def test_the_pyramid_ends_where_a_side_is_smaller_than_a_cell():
    found = list(mtcnn.scales(100, 300))
    assert found[0] == 0.6
    np.testing.assert_allclose(np.divide(found[1:], found[:-1]), 0.709)
    assert 100 * found[-1] >= 12 > 100 * found[-1] * 0.709


def test_windows_are_whole_squares_of_the_longer_side():
    assert mtcnn.squares(np.array([[10.2, 20, 30.2, 60]])).tolist() == [[0, 20, 40, 60]]


def test_windows_that_show_nothing_are_dropped():
    windows = np.array(
        [
            [0, 0, 9, 9],
            [-9, 0, 0, 9],
            [0, 50, 9, 59],
            [3, 3, 3, 3],
            [-99, -99, 99, 99],
            [np.nan] * 4,
        ]
    )
    assert mtcnn.visible(windows, 50, 70).tolist() == [[0, 0, 9, 9]]


def test_a_window_is_black_outside_the_picture():
    picture = np.full((10, 20, 3), 255, np.uint8)
    window = mtcnn.cut(picture, np.array([[-4, 6, 4, 14]]), 8)[0, ..., 0]
    expected = np.zeros((8, 8))
    expected[:4, 4:] = 255
    np.testing.assert_array_equal(window, expected)


def test_shifts_and_landmarks_are_parts_of_the_box():
    box = np.array([[10.0, 20, 30, 60]])
    assert mtcnn.shifted(box, np.array([[0.5, -0.25, 0, 1]])).tolist() == [[20, 10, 30, 100]]
    parts = np.array([[0, 0.25, 0.5, 0.75, 1, 1, 0.75, 0.5, 0.25, 0]])
    expected = [[10, 60], [15, 50], [20, 40], [25, 30], [30, 20]]
    assert mtcnn.located(box, parts)[0].tolist() == expected


@pytest.mark.parametrize(
    ("damage", "culprit", "message"),
    [
        (lambda f: (f / "rnet.onnx").unlink(), "rnet", "is not a file"),
        (lambda f: (f / "onet.onnx").write_bytes(b"junk"), "onet", "no ONNX file"),
        (lambda f: (f / "onet.onnx").replace(f / "rnet.onnx"), "onet", "is not a file"),
        (
            lambda f: (f / "rnet.onnx").write_bytes((f / "onet.onnx").read_bytes()),
            "rnet",
            "pictures of 48x48, not of 24x24.*mixed up",
        ),
        (
            lambda f: (f / "pnet.onnx").write_bytes((f / "onet.onnx").read_bytes()),
            "pnet",
            "not of any height and width",
        ),
        (
            lambda f: make_refining(f / "onet.onnx", 48, False, False, 1, ["score", "box"]),
            "onet",
            "not one each of 2, 4, 10 elements",
        ),
        (
            lambda f: make_refining(
                f / "rnet.onnx", 24, False, False, 1, ["score", "box"], score="face, face"
            ),
            "rnet",
            "do not add up to 1: export it with its softmax",
        ),
    ],
)
def test_a_wrong_file_among_the_three_is_named(tmp_path, damage, culprit, message):
    damage(make_mtcnn(tmp_path))
    with pytest.raises(BadInputError, match=message) as caught:
        DETECTORS["mtcnn"].open(tmp_path)
    assert f"{culprit}.onnx" in str(caught.value)


# --- All detectors ---


@pytest.fixture(params=DETECTORS.names())
def detector(request):
    return DETECTORS[request.param]


def test_every_detector_says_what_it_is_and_how_to_get_its_weights(detector, monkeypatch):
    assert DETECTORS[detector.name] is detector
    assert detector.about
    module = f"facebench.harness.verification.detectors.{detector.name}"
    monkeypatch.setattr(f"{module}.installed_folder", lambda *_: None)
    for use in (detector.open, detector.files):
        with pytest.raises(UnavailableError, match=f"--landmarks {detector.name}:F") as caught:
            use(None)
        assert detector.install in str(caught.value)


def test_every_detector_names_a_path_that_is_not_there(detector, tmp_path):
    with pytest.raises(BadInputError, match=f"{tmp_path}/nothing.* is not a file.*check the path"):
        detector.open(tmp_path / "nothing")


def test_every_detector_refuses_a_network_for_something_else(detector, tmp_path):
    other = "other (float[N,3,H,W] image) => (float[N,3,H,W] out) { out = Relu(image) }"
    path = save(tmp_path / "pnet.onnx", other)
    for name in ("rnet.onnx", "onet.onnx"):
        (tmp_path / name).write_bytes(path.read_bytes())
    with pytest.raises(BadInputError, match=r"pnet.onnx .*outputs"):
        detector.open(path if detector.name == "scrfd" else tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n (float[N,3] v) => (float[N,3] o) { o = Relu(v) }", "not one batch of pictures"),
        ("n (float[N,1,H,W] v) => (float[N,1,H,W] o) { o = Relu(v) }", "neither .N, 3, H, W."),
        (
            "n (float[N,3,H,W] v) => (float[N,3,H,W] o) { o = Reshape(v, s) }",
            "cannot be run on an input of shape",
        ),
    ],
)
def test_a_network_that_takes_no_pictures_is_refused(tmp_path, text, message):
    arrays = {"s": [1, 3, 7, 7]} if "Reshape" in text else {}
    with pytest.raises(BadInputError, match=message):
        DETECTORS["scrfd"].open(save(tmp_path / "n.onnx", text, **arrays))


def test_an_unknown_detector_is_answered_with_the_nearest_name():
    with pytest.raises(UnknownNameError, match="unknown detector 'scrdf': did you mean scrfd"):
        DETECTORS["scrdf"]


def test_a_package_is_found_without_running_its_code(tmp_path, monkeypatch):
    package = tmp_path / "weights_of_others"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "model" / "a.onnx").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert installed_folder(package.name, "model", ("a.onnx",)) == package / "model"
    assert installed_folder(package.name, "model", ("a.onnx", "b.onnx")) is None
    assert installed_folder("no_such_package", "model", ("a.onnx",)) is None
    assert package.name not in sys.modules


# --- Real faces ---


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "most_missing", "most_pixels"), [("scrfd", 1, 2), ("mtcnn", 1, 2.5)]
)
def test_landmarks_of_real_faces_are_those_of_the_datasets_own_file(
    data_root, name, most_missing, most_pixels
):
    try:
        find = DETECTORS[name].open(None)
    except UnavailableError as error:
        pytest.skip(str(error))
    faces = DATASETS["lfw"].open(data_root)
    assert isinstance(faces, PairSet)
    keys = faces.keys[:: len(faces.keys) // 50][:50]
    found = {key: find(faces.picture(key)) for key in keys}
    assert sum(points is None for points in found.values()) <= most_missing
    distances = [
        np.linalg.norm(points - faces.landmarks[key], axis=1)
        for key, points in found.items()
        if points is not None
    ]
    assert np.median(distances) < most_pixels
