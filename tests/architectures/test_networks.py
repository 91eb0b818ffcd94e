"""Every registered network, and a few of timm's: shapes, weights, traces, ONNX."""

import copy
import functools
import hashlib
import io
import subprocess
import sys
import warnings

import numpy as np
import onnxruntime
import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.grn import GlobalResponseNorm
from timm.models.levit import Downsample
from torch import nn

from facebench.architectures.blocks import ChannelShuffle, ConvBNAct, InvertedResidual
from facebench.architectures.embedding import HEADS
from facebench.architectures.errors import BadInputError
from facebench.architectures.from_timm import build
from facebench.architectures.initialise import create
from facebench.architectures.registry import find, mobile_names
from facebench.architectures.timm_layers import fix_padding, pool_places, split_response_norms
from facebench.harness.models.bn_folding import inference_form
from tests.sampling import covering, large, sixth

BACKBONES = ("mobilenetv3_small_100", "ghostnet_100", "resnet18")
TIMM = [f"timm:{backbone}:gap" for backbone in BACKBONES]
SMALLEST_NORMAL = torch.finfo(torch.float32).tiny

network = functools.cache(create)

# Where weights that behave as trained ones do would show nothing that others do not.
built = functools.cache(lambda name: find(name).build().eval().requires_grad_(False))


def images(name: str, batch: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, 3, *find(name).input_size, generator=generator) * 2 - 1


def digest(module: nn.Module) -> str:
    tensors = module.state_dict().values()
    return hashlib.sha256(b"".join(t.numpy().tobytes() for t in tensors)).hexdigest()


@pytest.mark.parametrize("name", [*mobile_names(), *large()])
def test_embeddings_have_the_size_registered_whatever_the_batch(name):
    assert_embeds(name)


@pytest.mark.parametrize(("backbone", "head"), covering(BACKBONES, list(HEADS)))
def test_a_backbone_of_timm_takes_any_head(backbone, head):
    assert_embeds(f"timm:{backbone}:{head}")


def assert_embeds(name):
    x = images(name, 2)
    together = built(name)(x)
    alone = torch.cat([built(name)(image[None]) for image in x])
    assert together.shape == (2, find(name).embedding_size)
    assert torch.allclose(together, alone, rtol=0, atol=1e-5 * float(together.abs().max()))


@pytest.mark.parametrize("name", sixth([*mobile_names(), *TIMM], 3))
def test_created_networks_are_ready_for_inference(name):
    assert not any(module.training for module in network(name).modules())
    assert not any(p.requires_grad for p in network(name).parameters())


@pytest.mark.parametrize("name", sixth([*mobile_names(), *TIMM], 3))
def test_a_seed_fixes_every_byte(name):
    assert digest(create(name, seed=0)) == digest(network(name))


def test_another_seed_gives_other_weights():
    assert digest(create("mobilefacenet", seed=1)) != digest(network("mobilefacenet"))


def test_a_seed_fixes_every_byte_in_another_process_with_other_threads():
    code = (
        "import torch; torch.set_num_threads(2); torch.manual_seed(5)\n"
        "from facebench.architectures.initialise import create\n"
        "import hashlib\n"
        "t = create('mobilefacenet').state_dict().values()\n"
        "print(hashlib.sha256(b''.join(v.numpy().tobytes() for v in t)).hexdigest())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(network("mobilefacenet"))


def test_creating_leaves_the_global_random_state_and_threads_alone():
    before = torch.get_rng_state(), torch.get_num_threads()
    create("mobilefacenet_s", seed=7)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]


@pytest.mark.parametrize("name", [*sixth([*mobile_names(), *TIMM], 3), *large()])
def test_activations_keep_their_scale_at_every_depth_without_denormals(name):
    spreads, denormals = [], 0

    def look(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        nonlocal denormals
        spreads.append(float(output.std()))
        denormals += int(((output != 0) & (output.abs() < SMALLEST_NORMAL)).sum())

    modules = list(network(name).modules())
    norms = [m for m in modules if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    # Of a network without BN it is the layers themselves that keep it.
    layers = norms or [m for m in modules if isinstance(m, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(look) for layer in layers]
    network(name)(images(name, 4, seed=1))
    for hook in hooks:
        hook.remove()
    # Within a factor of ten on images unlike those of the calibration; without BN a residual
    # doubles it, and nothing brings it back.
    low, high = (0.1, 10.0) if norms else (0.01, 100.0)
    assert low < min(spreads) < max(spreads) < high
    assert denormals == 0


@pytest.mark.parametrize("name", sixth(mobile_names(), 3))
def test_prelu_slopes_lie_near_a_quarter_and_differ_by_channel(name):
    slopes = [m.weight for m in network(name).modules() if isinstance(m, nn.PReLU)]
    if not slopes:
        pytest.skip("it has no PReLU")
    for slope in slopes:
        assert abs(float(slope.mean()) - 0.25) < 0.05
        # One slope may be that of all channels.
        assert slope.unique().numel() > 1 or slope.numel() == 1


@pytest.mark.parametrize("name", sixth(mobile_names(), 3))
def test_traces_of_torchscript_and_fx_serve_other_batches(name):
    x = images(name, 3)
    expected = network(name)(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = torch.jit.trace(network(name), images(name, 2), check_trace=False)
    assert torch.equal(scripted(x), expected)
    assert torch.equal(torch.fx.symbolic_trace(network(name))(x), expected)


@pytest.mark.parametrize("name", [*sixth(mobile_names(), 4), *large()])
def test_onnx_with_a_free_batch_agrees(name):
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            built(name),
            (images(name, 2),),
            file,
            dynamo=False,
            input_names=["x"],
            dynamic_axes={"x": {0: "n"}},
        )
    x = images(name, 3)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file.getvalue(), options, ["CPUExecutionProvider"])
    (outputs,) = session.run(None, {"x": x.numpy()})
    expected = built(name)(x).numpy()
    assert np.abs(outputs - expected).max() < 3e-5 * np.abs(expected).max()


@pytest.mark.parametrize("name", sixth(mobile_names(), 5))
def test_weights_can_be_trained(name):
    module = find(name).build()
    module(images(name, 2)).sum().backward()
    assert all(p.grad is not None for p in module.parameters())


# A last map that is no 7x7, tokens, channels last, pooling that cannot be left out.
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("timm:convnext_atto:gdconv", (1, 320, 6, 6)),
        ("timm:levit_128s:gdconv", (1, 16, 384)),
        ("timm:mambaout_femto:gdconv", (1, 7, 7, 1152)),
        ("timm:inception_next_atto:gdconv", (1, 320, 6, 6)),
        ("timm:vit_tiny_patch16_224:fc", (1, 50, 192)),
        ("timm:levit_128s:gap", (1, 384)),
    ],
)
def test_a_timm_backbone_takes_a_head_whatever_its_last_map(name, shape):
    assert built(name).backbone(images(name, 1)).shape == shape
    assert_embeds(name)


# Random weights that blow up leave nothing of the digits by which runtimes are compared.
@pytest.mark.parametrize("name", ["timm:starnet_s1:gap", "timm:levit_128s:gdconv"])
def test_rounding_stays_small_on_images_of_extreme_contrast(name):
    x = torch.cat([images(name, 2, seed=3), images(name, 1).sign()])
    exact = copy.deepcopy(network(name)).double()(x.double())
    error = (network(name)(x) - exact).abs().max() / exact.abs().max()
    assert error < 1e-5


def test_branches_deploy_as_one_layer_though_the_first_stride_was_halved():
    module = network("timm:fastvit_t8:gap")
    x = images("timm:fastvit_t8:gap", 2)
    made = module.deployed().eval()
    assert sum(p.numel() for p in made.parameters()) < sum(p.numel() for p in module.parameters())
    expected = module(x)
    assert torch.allclose(made(x), expected, rtol=0, atol=3e-5 * float(expected.abs().max()))


def test_padding_that_tensorflow_works_out_is_the_same_when_it_is_fixed():
    torch.manual_seed(0)
    theirs = timm.create_model("tf_mobilenetv3_small_minimal_100", num_classes=0).eval()
    ours = copy.deepcopy(theirs)
    x = torch.rand(2, 3, 112, 112)
    fix_padding(ours, x[:1])
    assert not any(type(m) is Conv2dSame for m in ours.modules())
    assert torch.equal(ours(x), theirs(x))
    assert torch.allclose(inference_form(ours)(x), theirs(x), atol=1e-6)


@pytest.mark.parametrize("side", [7, 14])
def test_places_that_levit_leaves_out_are_pooled_away_exactly(side):
    theirs = Downsample(2, side).eval()
    ours = nn.Sequential(copy.deepcopy(theirs))
    pool_places(ours)
    assert isinstance(ours[0].pool, nn.MaxPool2d)
    x = torch.randn(2, side * side, 6)
    assert torch.equal(ours(x), theirs(x))


@pytest.mark.parametrize("channels_last", [True, False])
def test_response_norms_are_timms_own_in_other_words(channels_last):
    theirs = GlobalResponseNorm(6, channels_last=channels_last)
    nn.init.normal_(theirs.weight)
    nn.init.normal_(theirs.bias)
    ours = nn.Sequential(theirs)
    split_response_norms(ours)
    assert type(ours[0]) is not GlobalResponseNorm
    x = torch.randn(2, 6, 6, 6)
    torch.testing.assert_close(ours(x), theirs(x))


class Odd(nn.Module):
    """Stands for a network of timm that cannot serve."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward_features(self, x):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    forward = forward_features


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (AssertionError("Input height (112)"), r"takes no images of 112x112 \(Input height"),
        (KeyError("x"), "takes no images of 112x112"),
        ((torch.zeros(1, 2), torch.zeros(1, 2)), "gives 2 outputs where one map"),
        ({"x": torch.zeros(1, 2)}, "gives no map where one map"),
    ],
)
@pytest.mark.parametrize("head", ["gap", "gdconv"])
def test_a_timm_backbone_that_cannot_serve_is_refused_in_one_sentence(
    monkeypatch, answer, said, head
):
    monkeypatch.setattr(timm, "create_model", lambda name, **options: Odd(answer))
    with pytest.raises(BadInputError, match=said):
        build("resnet18", head)


def test_a_timm_backbone_that_timm_cannot_make_is_refused_in_one_sentence(monkeypatch):
    def failing(name, **options):
        raise ImportError("it needs another package")

    monkeypatch.setattr(timm, "create_model", failing)
    with pytest.raises(BadInputError, match="'resnet18' cannot be made .*needs another package"):
        build("resnet18", "gap")


def test_what_begins_as_one_number_is_drawn_apart():
    scales = [p for n, p in network("timm:convnext_atto:gdconv").named_parameters() if "gamma" in n]
    assert scales
    for scale in scales:
        assert 0.1 < float(scale.min()) < float(scale.max()) < 1


def test_linear_convolutions_have_bn_and_no_activation():
    block = InvertedResidual(64, 64, stride=1, expansion=2, activation=nn.PReLU)
    kinds = [[type(layer) for layer in conv] for conv in block.layers]
    conv, bn, act = nn.Conv2d, nn.BatchNorm2d, nn.PReLU
    assert kinds == [[conv, bn, act], [conv, bn, act], [conv, bn]]


@pytest.mark.parametrize(("stride", "channels_out"), [(2, 8), (1, 16)])
def test_the_identity_is_added_only_where_shapes_match(stride, channels_out):
    block = InvertedResidual(8, channels_out, stride, expansion=2, activation=nn.PReLU).eval()
    nn.init.zeros_(block.layers[-1].conv.weight)
    x = torch.rand(1, 8, 6, 6)
    assert not block(x).any()
    same = InvertedResidual(8, 8, 1, expansion=2, activation=nn.PReLU).eval()
    nn.init.zeros_(same.layers[-1].conv.weight)
    assert torch.equal(same(x), x)


@given(
    groups=st.integers(1, 6),
    width=st.integers(1, 5),
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    batch=st.integers(1, 3),
)
@settings(deadline=None, max_examples=40)
def test_the_shuffle_is_that_of_torch(groups, width, size, batch):
    x = torch.rand(batch, groups * width, *size)
    ours = ChannelShuffle(groups * width, groups, size)(x)
    assert torch.equal(ours, nn.ChannelShuffle(groups)(x))


@given(
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.integers(1, 2),
    size=st.tuples(st.integers(2, 9), st.integers(2, 9)),
)
@settings(deadline=None, max_examples=40)
def test_a_convolution_halves_the_map_or_keeps_it(kernel, stride, size):
    block = ConvBNAct(3, 4, kernel, stride).eval()
    expected = tuple(-(-side // stride) for side in size)
    assert block(torch.zeros(1, 3, *size)).shape == (1, 4, *expected)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("size", [(7, 7), (7, 6), (6, 6)])
def test_a_head_makes_a_vector_of_any_map(head, size):
    module = HEADS[head](16, size, 10).eval()
    assert module(torch.zeros(2, 16, *size)).shape == (2, 10)
