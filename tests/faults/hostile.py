"""What people give to facebench, good and hostile, and what a command does with it."""

from __future__ import annotations

import io
import pickle
import random
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from facebench.architectures.errors import FacebenchError


class Opens:
    """What runs code where a pickle of it is loaded."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return open, (self.path, "w")


@dataclass(frozen=True)
class Target:
    """A kind of input.

    Attributes:
        name: of the target.
        suffix: of its files.
        seeds: makes good inputs, and bad ones of special kinds, in a folder.
        use: does with a file what a command does.
    """

    name: str
    suffix: str
    seeds: Callable[[Path], list[bytes]]
    use: Callable[[Path], object]


def _plan(path: Path) -> object:
    from facebench.harness.runs import plan

    return plan.jobs(plan.load(str(path)), None)


def _plan_seeds(folder: Path) -> list[bytes]:
    from facebench.harness.runs.plan import BUILT_IN

    whole = b'networks = ["mobilefacenet_s"]\nruntimes = ["onnxruntime"]\nthreads = [1, 2]\n'
    whole += b'precisions = ["fp32", "int8"]\ntargets = ["cortex-a72"]\nsampling_s = 2.5\n'
    whole += b'datasets = ["synthetic"]\n[weights]\nmobilefacenet_s = "shipped"\n'
    hostile = b'networks = ["onnx:/dev/zero", "../../x"]\n[weights]\na = "/etc/passwd"\n'
    return [whole, hostile, *(file.read_bytes() for file in BUILT_IN.glob("quick.toml"))]


def _results(path: Path) -> object:
    from facebench.harness.records.store import Store, records_of
    from facebench.reports.render import render

    Store(path).mend()
    return render(records_of([path]), path.parent / "report")


def _results_seeds(folder: Path) -> list[bytes]:
    from facebench.harness.records.case import Case
    from facebench.harness.records.record import Record
    from facebench.harness.records.store import Store
    from tests.harness.records.test_store import EXAMPLES

    store = Store(folder / "seed.jsonl")
    for measure, result in EXAMPLES.items():
        store.append(Record(Case(measure, "mobilefacenet"), "measured", "ok", result))
    whole = store.path.read_bytes()
    # Without checksums more of what is damaged gets through to the reader.
    plain = b"\n".join(line.replace(b', "crc32', b', "x": 0, "crc') for line in whole.splitlines())
    bomb = b'{"schema": 7, "case": {"measure": "cost", "network": "' + b"a" * 10**6 + b'"}}\n'
    return [plain, *(line + b"\n" for line in plain.splitlines()), whole, bomb]


def _baseline(path: Path) -> object:
    from facebench.harness.comparison.baselines import from_text

    return from_text(path.read_text(errors="surrogateescape"), str(path))


def _baseline_seeds(folder: Path) -> list[bytes]:
    from facebench.harness.storage.shipped import folder as shipped

    root = shipped("weights").parent / "baselines" / "ci"
    return [path.read_bytes() for path in sorted(root.glob("*.json"))[:4]]


def _onnx(path: Path) -> object:
    from facebench.harness.models.export import export
    from facebench.harness.models.networks import resolve

    return export(resolve(f"onnx:{path}")).facts()


def _onnx_seeds(folder: Path) -> list[bytes]:
    import onnx
    from onnx import TensorProto, helper

    from tests.harness.conftest import tiny_module, write_onnx

    whole = write_onnx(tiny_module(), folder / "seed.onnx").read_bytes()
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 16, 16])
    vector = helper.make_tensor_value_info("vector", TensorProto.FLOAT, None)
    # Weights in a file of their own, which is to be any file of the user's.
    outside = helper.make_tensor("w", TensorProto.FLOAT, [1], [0.0])
    outside.ClearField("float_data")
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="../../../../etc/passwd")
    node = helper.make_node("Mul", ["image", "w"], ["vector"])
    # A tensor of 2^40 elements, worked out of nothing.
    huge = helper.make_node("ConstantOfShape", ["shape"], ["large"])
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [2**20, 2**20])
    grows = helper.make_node("ReduceSum", ["large"], ["vector"])
    models = []
    for nodes, weights in (([node], [outside]), ([huge, grows], [shape])):
        graph = helper.make_graph(nodes, "g", [image], [vector], weights)
        models.append(onnx.helper.make_model(graph).SerializeToString())
    return [whole, *models]


def _bin(path: Path) -> object:
    from facebench.harness.verification.datasets.registry import DATASETS

    opened = DATASETS[f"bin:{path}"].open(None)
    return [opened.picture(key) for key in opened.keys[:8]]


def _bin_seeds(folder: Path) -> list[bytes]:
    image = _jpeg()
    flags = [True, False] * 10
    return [
        pickle.dumps(([image] * 40, flags), protocol=protocol) for protocol in (0, 2, 4)
    ] + _evil(folder)


def _evil(folder: Path) -> list[bytes]:
    """Pickles that write a file where they are loaded; lists in lists; and a bomb."""
    nested: list[object] = []
    for _ in range(200):
        nested = [nested, nested]
    return [
        pickle.dumps(Opens("ran"), protocol=2),
        pickle.dumps(([Opens("ran")], [True])),
        b"cos\nsystem\n(S'touch ran'\ntR.",
        pickle.dumps(nested),
        b"\x80\x04\x8e" + (2**40).to_bytes(8, "little") + b"abc.",
    ]


def _jpeg() -> bytes:
    from PIL import Image

    made = io.BytesIO()
    noise = random.Random(0).randbytes(112 * 112 * 3)
    Image.frombytes("RGB", (112, 112), noise).save(made, "JPEG")
    return made.getvalue()


def _png(size: tuple[int, int] = (112, 112)) -> bytes:
    from PIL import Image

    made = io.BytesIO()
    Image.new("RGB", size).save(made, "PNG")
    return made.getvalue()


def _training(path: Path) -> object:
    from facebench.harness.training.data.faces import load

    return load(path)


def _rec_seeds(folder: Path) -> list[bytes]:
    """Records of MXNet's: a magic word, the length, a header (flag, label, two ids), an image."""
    import struct

    made = b""
    for label in range(4):
        payload = struct.pack("<IfQQ", 0, float(label // 2), label, 0) + _jpeg()
        made += struct.pack("<II", 0xCED7230A, len(payload)) + payload + b"\0" * (-len(payload) % 4)
    first = struct.pack("<IfQQ", 2, 2.0, 0, 0) + struct.pack("<2f", 5.0, 7.0)
    return [made, struct.pack("<II", 0xCED7230A, len(first)) + first + made]


def _tar_seeds(folder: Path) -> list[bytes]:
    made = []
    for names in (
        ("a/1.jpg", "a/2.jpg", "b/1.jpg"),
        ("../a/1.jpg", "/etc/2.jpg", "b/../../../1.jpg"),
    ):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name in names:
                member = tarfile.TarInfo(name)
                member.size = len(_jpeg())
                archive.addfile(member, io.BytesIO(_jpeg()))
            link = tarfile.TarInfo("c/1.jpg")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(link)
        made.append(packed.getvalue())
    return made


def _image(path: Path) -> object:
    from facebench.harness.verification.images import decode

    return decode(path.read_bytes(), str(path))


def _image_seeds(folder: Path) -> list[bytes]:
    bomb = bytearray(_png())
    # 60,000 x 60,000 by its header.
    bomb[16:24] = (60_000).to_bytes(4, "big") * 2
    return [_jpeg(), _png(), bytes(bomb), b"GIF89a" + b"\xff" * 20]


def _pairs(path: Path) -> object:
    from facebench.harness.verification.datasets.registry import DATASETS

    opened = DATASETS[f"list:{path}"].open(None)
    return [opened.picture(key) for key in opened.keys[:4]]


def _pairs_seeds(folder: Path) -> list[bytes]:
    rows = [f"a/{i}.jpg,b/{i}.jpg,{i % 2},{i % 10}" for i in range(40)]
    outside = "first,second,same,fold\n../../etc/passwd,/etc/shadow,1,0\n"
    return ["\n".join(["first,second,same,fold", *rows]).encode(), outside.encode()]


def _checkpoint(path: Path) -> object:
    from facebench.harness.models.networks import resolve

    return resolve("mobilefacenet_s", path).module()


def _checkpoint_seeds(folder: Path) -> list[bytes]:
    import torch
    from safetensors.torch import save

    from facebench.architectures.initialise import create

    state = create("mobilefacenet_s").state_dict()
    small = dict(list(state.items())[:6])
    made = io.BytesIO()
    torch.save(small, made)
    evil = io.BytesIO()
    torch.save({"a": Opens("ran")}, evil)
    # A length of the header that no file has.
    long = (2**62).to_bytes(8, "little") + b"{}"
    return [made.getvalue(), save(small), evil.getvalue(), long, *_evil(folder)]


def _tuning(path: Path) -> object:
    from facebench.harness.compiler import records

    return list(records._read(path))


def _tuning_seeds(folder: Path) -> list[bytes]:
    from facebench.harness.storage.shipped import folder as shipped

    found = sorted(path for path in shipped("tuning").rglob("*") if path.is_file())
    return [path.read_bytes()[:20_000] for path in found[:3]]


def _name(path: Path) -> object:
    from facebench.architectures.registry import find
    from facebench.harness.devices.registry import DEVICES
    from facebench.harness.runtimes.registry import RUNTIMES
    from facebench.harness.verification.datasets.registry import DATASETS

    text = path.read_bytes().decode(errors="surrogateescape")
    refused = 0
    for look in (find, DEVICES.__getitem__, RUNTIMES.__getitem__, DATASETS.__getitem__):
        try:
            look(text)
        except FacebenchError:
            refused += 1
    return refused


def _name_seeds(folder: Path) -> list[bytes]:
    texts = ["mobilefacenet", "timm:ghostnet_100:gap", "rpc://board:9090", "emulated:kryo",
             "tracker://host:1/key", "ssh://pi@raspberrypi", "list:pairs.csv", "bin:lfw.bin",
             "search:a,b,c", "folder:../..", "ssh://-oProxyCommand=touch ran@x"]  # fmt: skip
    return [text.encode() for text in texts]


TARGETS = {
    target.name: target
    for target in (
        Target("plan", ".toml", _plan_seeds, _plan),
        Target("results", ".jsonl", _results_seeds, _results),
        Target("baseline", ".json", _baseline_seeds, _baseline),
        Target("onnx", ".onnx", _onnx_seeds, _onnx),
        Target("bin", ".bin", _bin_seeds, _bin),
        Target("rec", ".rec", _rec_seeds, _training),
        Target("tar", ".tar", _tar_seeds, _training),
        Target("image", ".jpg", _image_seeds, _image),
        Target("pairs", ".csv", _pairs_seeds, _pairs),
        Target("checkpoint", ".pth", _checkpoint_seeds, _checkpoint),
        Target("tuning", ".jsonl", _tuning_seeds, _tuning),
        Target("name", ".txt", _name_seeds, _name),
    )
}
