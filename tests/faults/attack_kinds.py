"""The kinds of attack that `tests.faults.attacks` makes, with their shares of 20,000 tries."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import importlib
import io
import json
import os
import random
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import xml.etree.ElementTree
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

from facebench.architectures.errors import BadInputError, FacebenchError
from tests.faults.attacks import Attack, Try, ended
from tests.faults.fuzz import mutate
from tests.faults.odd import spoiled, spoiled_toml
from tests.places import ROOT

# Tries of one fork, where each takes less than to fork.
_AT_ONCE = 50

_NOBODY = 65534

# Linux's CLONE_NEWNS.
_NEW_MOUNTS = 0x20000


@cache
def good_lines() -> tuple[bytes, ...]:
    """Lines of results files: one of each measure, and of the reference."""
    from facebench.harness.records.case import Case
    from facebench.harness.records.record import Record
    from facebench.harness.records.store import Store
    from tests.harness.records.test_store import EXAMPLES

    folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"good-{os.getpid()}"
    store = Store(folder / "good.jsonl")
    for measure, result in EXAMPLES.items():
        store.append(Record(Case(measure, "mobilefacenet"), "measured", "ok", result))
    lines = store.path.read_bytes().splitlines()
    shutil.rmtree(folder)
    reference = (ROOT / "results/reference/records.jsonl").read_bytes().splitlines()
    return (*lines, *(line for line in reference if len(line) < 20_000))


def _unsealed(line: bytes) -> Any:
    data = json.loads(line)
    data.pop("crc32", None)
    return data


def bad_lines(chance: random.Random) -> bytes:
    """A results file of a few lines, one of which is odd; the others may be its neighbours."""
    chosen = [chance.choice(good_lines()) for _ in range(chance.randrange(1, 5))]
    if chance.random() < 0.2:
        return mutate(b"\n".join(chosen) + b"\n", list(good_lines()), chance)
    at = chance.randrange(len(chosen))
    chosen[at] = spoiled(_unsealed(chosen[at]), chance).encode(errors="replace")
    return b"\n".join(chosen) + b"\n"


def _results(one: Try, chance: random.Random) -> None:
    drawn = []
    for number in range(_AT_ONCE):
        base, new = (one.given / f"{number}-{name}.jsonl" for name in ("base", "new"))
        new.write_bytes(bad_lines(chance))
        base.write_bytes(new.read_bytes() if chance.random() < 0.5 else bad_lines(chance))
        out = one.out / str(number)
        drawn.append((_reader(str(out), str(base), str(new), chance), out / "junit.xml"))

    def read() -> Iterator[str]:
        for words, path in drawn:
            yield ended(words, partial(_is_xml, path))

    one.act = read


def _reader(out: str, base: str, new: str, chance: random.Random) -> list[str]:
    readers = {
        "compare": ["compare", base, new, "--junit", f"{out}/junit.xml", "--github"],
        "files": ["compare", base, new, "--benchmark-action", f"{out}/b.json",
                  "--pytest-benchmark", f"{out}/p.json", "--json"],
        "claims": ["claims", new, *chance.choice(([], ["--json"]))],
        "history": ["history", "--results", base, "--results", new],
        "drawn": ["history", "--results", new, "-o", f"{out}/h.svg"],
        "baseline": ["baseline", "save", "theirs", new, "--store", f"{out}/baselines"],
        "estimate": ["plan", "quick", "--estimate", "--from", new],
        "report": ["report", base, new, "-o", f"{out}/report"],
    }  # fmt: skip
    weights = (30, 10, 30, 12, 3, 10, 1, 4)
    return readers[chance.choices(list(readers), weights)[0]]


def _is_xml(path: Path) -> str:
    try:
        if path.exists():
            xml.etree.ElementTree.parse(path)
    except xml.etree.ElementTree.ParseError as error:
        return f"traceback: the JUnit file is no XML ({error})"
    return ""


_MODES = ("L", "RGB", "RGBA", "P", "1", "I;16", "CMYK", "LA", "F", "YCbCr", "HSV")
_MEANT = ("JPEG", "PNG", "BMP", "PPM", "WEBP")
_OTHERS = ("GIF", "TIFF", "ICO", "TGA", "PCX", "SGI", "DDS", "EPS", "JPEG2000", "IM", "MSP",
           "SPIDER", "XBM", "PDF", "BLP", "MPO")  # fmt: skip


def drawn(chance: random.Random) -> bytes:
    """An image of any format and mode, of one picture or two, turned or not; often damaged."""
    from PIL import Image

    size = (chance.choice((1, 2, 7, 16, 40)), chance.choice((1, 3, 8, 33)))
    stream = io.BytesIO()
    options: dict[str, Any] = {}
    if chance.random() < 0.3:
        exif = Image.Exif()
        exif[0x0112] = chance.choice((0, 1, 3, 6, 8, 9, 65535))
        options["exif"] = exif
    image = Image.new(chance.choice(_MODES), size)
    if chance.random() < 0.1:
        options |= {"save_all": True, "append_images": [image]}
    with contextlib.suppress(Exception):
        image.save(stream, chance.choice(chance.choice((_MEANT, _OTHERS))), **options)
    data = stream.getvalue() or chance.choice(_HEADS) + chance.randbytes(chance.randrange(200))
    return mutate(data, [data], chance) if chance.random() < 0.7 else data


# Of formats that Pillow does not write here, or not without crashing.
_HEADS = (
    *(b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", b"DDS |\0\0\0", b"8BPS\0\1", b"FLIF", b"qoif"),
    *(b"%!PS-Adobe-3.0 EPSF-3.0\n", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"II*\0"),
)


def _images(one: Try, chance: random.Random) -> None:
    files = []
    for number in range(_AT_ONCE):
        files.append(one.given / f"{number}.jpg")
        files[-1].write_bytes(drawn(chance))

    def decode() -> Iterator[str]:
        from facebench.harness.verification import images

        for path in files:
            data = path.read_bytes()
            for use in (images.facts, images.size, images.decode):
                end = "accepted"
                try:
                    use(data, path.name)
                except BadInputError:
                    end = "one sentence"
            yield end

    one.act = decode


def _plans(one: Try, chance: random.Random) -> None:
    lines = ['networks = ["mobilefacenet_s"]', 'runtimes = ["onnxruntime"]', "threads = [1, 2]",
             'precisions = ["fp32"]', 'targets = ["cortex-a72"]', "sampling_s = 2.5",
             'datasets = ["synthetic"]', "processes = 2", 'devices = ["local"]', "known_to = 1.0",
             'weights.mobilefacenet_s = "random:1"']  # fmt: skip
    text = spoiled_toml(lines, chance).encode(errors="replace")
    if chance.random() < 0.2:
        text = mutate(text, [text], chance)
    (one.given / "plan.toml").write_bytes(text)
    one.commands = [["plan", str(one.given / "plan.toml"), "-o", str(one.out)]]


@cache
def _card_facts() -> dict[str, Any]:
    from safetensors import safe_open

    path = min((ROOT / "results/weights").glob("*.safetensors"), key=lambda p: p.stat().st_size)
    with safe_open(path, "numpy") as file:
        facts: dict[str, Any] = json.loads(file.metadata()["facebench"])
    return facts


def _cards(one: Try, chance: random.Random) -> None:
    import numpy as np
    from safetensors.numpy import save

    text = spoiled(_card_facts(), chance)
    metadata = {"facebench": text.encode(errors="replace").decode()}
    data = save({"a": np.zeros(1, np.float32)}, metadata)
    if chance.random() < 0.1:
        data = mutate(data, [data], chance)
    path = one.given / "w.safetensors"
    path.write_bytes(data)
    scores = one.given / "scores.jsonl"
    scores.write_bytes(bad_lines(chance))
    # It writes into the file that it is given.
    one.commands = [["card", str(path), *chance.choice(([], ["--json"]))]]
    if chance.random() < 0.2:
        one.out.mkdir()
        shutil.copy(path, one.out / "w.safetensors")
        one.commands = [["card", str(one.out / "w.safetensors"), "--scores", str(scores)]]


_CELLS = ("", "x" * 140_000, '"' + "y" * 140_000 + '"', "\0", "9" * 5000, "-1", "nan", '"', '""a',
          "../../outside/victim", "/etc/passwd", "a/1.jpg", "=1+1", "\n=1", "\r", "\ufeff", "é",
          "1e308", "/dev/zero", "../fifo")  # fmt: skip


def _lists(one: Try, chance: random.Random) -> None:
    rows = [[f"a/{i}.jpg", f"b/{i}.jpg", str(i % 2), str(i % 10)] for i in range(20)]
    rows.insert(0, ["first", "second", "same", "fold"])
    for _ in range(chance.choice((1, 1, 3))):
        row = chance.choice(rows)
        row[chance.randrange(4)] = chance.choice(_CELLS)
    text = "\n".join(map(",".join, rows)).encode(errors="replace")
    if chance.random() < 0.2:
        text = mutate(text, [text], chance)
    (one.given / "pairs.csv").write_bytes(text)
    os.mkfifo(one.folder / "fifo")
    name = f"list:{one.given / 'pairs.csv'}"
    one.commands = [["data", "check", name]]
    if chance.random() < 0.3:
        one.commands = [["data", "pairs", name, "-o", str(one.out / "p.csv")]]


def _names(one: Try, chance: random.Random) -> None:
    families = ("", "timm:", "onnx:", "rpc://", "ssh://", "tracker://", "emulated:", "list:",
                "bin:", "search:", "folder:", "git:", "megaface:", "file:")  # fmt: skip
    odd = ("", "..", "/", "/dev/zero", "/dev/full", "../../etc/passwd", "a" * 5000, "\udcff",
           "\x1b[2J", "-o", "--", "%s", "1" * 5000, "a:b@c:99999999", "[::1]:9", "x?serve=1", "\n",
           " ", "in/f", "顔", "gap", "resnet18:x:y", "127.0.0.1:1/k")  # fmt: skip
    (one.given / "f").write_bytes(chance.randbytes(50))
    name, out = chance.choice(families) + chance.choice(odd), str(one.out)
    one.commands = [chance.choice((
        ["cost", "--", name], ["data", "check", "--", name], ["export", "-o", out, "--", name],
        ["latency", "mobilefacenet_s", "--runtime", name], ["verify", "nothing", "--dataset", name],
        ["plan", "--", name], ["card", "--", name], ["claims", "--", name], ["try", "--", name],
        ["compare", "--", name, name], ["baseline", "save", "--store", out, "--", name, name],
        ["instructions", "mobilefacenet_s", "--target", name], ["list", "--", name],
        ["train", "x", "--data", name, "-o", out], ["compile", "x", "--target", name],
        ["new", "block", "--", name], ["history", "--results", name],
        ["cache", "prune", "--to", name],
    ))]  # fmt: skip
    one.before = lambda: os.chdir(_made(one.out))


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def writers(one: Try) -> list[list[str]]:
    """Commands that write, each with where it writes to; they need one another's files."""
    good, out = str(one.given / "good.jsonl"), str(one.out)
    Path(good).write_bytes(b"\n".join(good_lines()[:8]) + b"\n")
    return [
        ["compare", good, good, "--junit", f"{out}/deep/j.xml",
         "--benchmark-action", f"{out}/b.json", "--pytest-benchmark", f"{out}/p.json"],
        ["baseline", "save", "mine", good, "--store", f"{out}/baselines"],
        ["history", "--results", good, "-o", f"{out}/h.png"],
        ["report", good, "-o", f"{out}/report"],
        ["data", "pairs", "synthetic", "-o", f"{out}/pairs.csv"],
        ["export", "mobilefacenet_s", "-o", f"{out}/networks"],
        ["cache", "prune", "--to", "0"],
        ["claims", good], ["list"], ["plan", "quick", "-o", f"{out}/run"],
    ]  # fmt: skip


_WEIGHTS = (25, 20, 8, 2, 8, 2, 8, 4, 1, 2)


def _chosen(one: Try, chance: random.Random) -> list[str]:
    return chance.choices(writers(one), _WEIGHTS)[0]


# What the commands above leave, below the folder of a try.
_WRITTEN = (
    *("out", "out/deep", "out/deep/j.xml", "out/b.json", "out/p.json", "out/h.png"),
    *("out/pairs.csv", "out/baselines", "out/baselines/mine", "out/report"),
    "out/baselines/mine/baseline.json",
    *("out/report/report.html", "out/report/report.md", "out/report/tables", "out/report/figures"),
    *("out/networks", "out/networks/mobilefacenet_s.onnx", "out/run", "out/run/records.jsonl"),
    *("cache", "cache/export", "cache/synthetic", "cache/users", "cache/users.lock"),
    *("cache/facebench-cache", "cache/parts", "cache/tvm", "cache/lowered"),
)  # fmt: skip


def _links(one: Try, chance: random.Random) -> None:
    one.commands = [_chosen(one, chance)]
    outside = one.folder / "outside"
    places = (outside / "victim", outside / "folder", outside / "new", Path("../outside/victim"),
              Path("/dev/full"))  # fmt: skip
    for name in chance.sample(_WRITTEN, chance.choice((1, 2, 4))):
        path = one.folder / name
        if str(path) in one.commands[0] or (name in ("out", "cache") and chance.random() < 0.8):
            continue  # chosen by the user: it may be a link
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(chance.choice(places))
    if (one.folder / "out").is_symlink() or (one.folder / "cache").is_symlink():
        for name in ("out", "cache"):
            if (one.folder / name).is_symlink():
                (one.folder / name).unlink()


def _records_links(one: Try, chance: random.Random) -> None:
    """A results folder of a stranger's, whose damaged lines are to be set aside."""
    one.out.mkdir()
    chosen = chance.sample(good_lines(), 3)
    lines = [*chosen, b'{"schema": 8, "torn']
    (one.out / "records.jsonl").write_bytes(b"\n".join(lines))
    one.kept = tuple(chosen)
    for name in ("records.damaged", "records.mending", "records.jsonl.part"):
        if chance.random() < 0.6:
            place = chance.choice(("outside/victim", "outside/new", "home/.bashrc"))
            (one.out / name).symlink_to(one.folder / place)

    def mend() -> Iterator[str]:
        from facebench.harness.records.store import Store

        try:
            Store(one.out / "records.jsonl").mend()
            yield "accepted"
        except FacebenchError:
            yield "one sentence"

    one.act = mend


def _without_locks(one: Try, chance: random.Random) -> None:
    code = chance.choice((errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP))

    def flock(file: object, how: int) -> None:
        raise OSError(code, os.strerror(code))

    one.commands = [_chosen(one, chance) for _ in range(chance.choice((1, 2)))]
    one.before = lambda: setattr(fcntl, "flock", flock)


def _full(one: Try, chance: random.Random) -> None:
    one.commands = [_chosen(one, chance)]
    limit = chance.choice((0, 1, 100, 1000, 4096, 20_000, 200_000))
    place = one.folder / chance.choice(("out", "cache"))

    def fill() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    def mount() -> None:
        """Mount a small disk, in a namespace that ends with this process."""
        place.mkdir(exist_ok=True)
        assert ctypes.CDLL(None).unshare(_NEW_MOUNTS) == 0
        for words in (
            ["--make-rprivate", "/"],
            ["-t", "tmpfs", "-o", f"size={max(limit, 4096)},nr_inodes=12", "tmpfs", str(place)],
        ):
            subprocess.run(["mount", *words], check=True)

    one.before = mount if os.geteuid() == 0 and chance.random() < 0.4 else fill


def _places(one: Try, chance: random.Random) -> None:
    """An output below a file, in a pipe, on a device, or of an impossible name."""
    (one.given / "file").write_text("x")
    os.mkfifo(one.given / "fifo")
    (one.given / "closed").mkdir(mode=0o500)
    # To root nothing is closed.
    shut = ("closed/x",) if os.geteuid() else ()
    odd = chance.choice(("file/x", "file", "fifo", "fifo/x", *shut, "a" * 300, "x\udcffy",
                         "", "/dev/full", "/dev/null/x", "/proc/x", ".", "a\nb", "-"))  # fmt: skip
    place = odd if odd.startswith("/") else str(one.out / odd)
    if odd.split("/")[0] in ("file", "fifo", "closed"):
        place = str(one.given / odd)
    words = _chosen(one, chance)
    one.commands = [[word.replace(str(one.out), place) if chance.random() < 0.9 else word
                     for word in words]]  # fmt: skip


def _onnx(one: Try, chance: random.Random) -> None:
    from tests.faults.odd_onnx import model

    (one.given / "n.onnx").write_bytes(model(chance))
    name = f"onnx:{one.given / 'n.onnx'}"
    one.commands = [chance.choice((["export", name, "-o", str(one.out)], ["cost", name]))]


def _boards(one: Try, chance: random.Random) -> None:
    from tests.harness.devices.board.hostile_board import ANSWERS, GREETINGS

    how = chance.choice([*ANSWERS, *GREETINGS])
    command = [sys.executable, "-m", "tests.harness.devices.board.hostile_board", how]
    board = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert board.stdout is not None
    one.commands = [["device", "list", f"rpc://127.0.0.1:{board.stdout.readline().strip()}"]]

    def end() -> str:
        board.kill()
        said = board.communicate()[0]
        return f"traceback: the client obeyed {how}: {said}" if "obeyed" in said else ""

    one.after = end


def _users(one: Try, chance: random.Random) -> None:
    """Another user, at the port of a relay and at that of a server with a key."""
    from facebench.harness.devices.board import relay
    from facebench.harness.machine.processes import dying_with_parent, python_module

    served = socket.create_server(("127.0.0.1", 0))
    command = python_module(relay.__name__, "127.0.0.1", str(served.getsockname()[1]))
    process = subprocess.Popen(dying_with_parent(command), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port = int(process.stdout.readline())
    board, _ = served.accept()
    board.setblocking(False)

    def intrude() -> Iterator[str]:
        importlib.import_module("encodings.idna")  # the last chance to read Python's library
        os.setgroups([])
        os.setuid(_NOBODY)
        for _ in range(_AT_ONCE):
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", port), 5) as at,
            ):
                at.sendall(struct.pack("<ii", 0xFF271, 7) + b"client:")
                if chance.random() < 0.5:
                    at.recv(1)
            yield "one sentence"

    def end() -> str:
        process.kill()
        process.communicate()
        with contextlib.suppress(BlockingIOError, ConnectionResetError):
            if heard := board.recv(100):
                return f"traceback: the board heard {heard!r} of another user"
        return ""

    one.act, one.after = intrude, end


ATTACKS = {
    attack.name: attack
    for attack in (
        Attack("results", 5600, _results),
        Attack("images", 10_000, _images),
        Attack("plans", 600, _plans),
        Attack("cards", 500, _cards),
        Attack("lists", 500, _lists),
        Attack("names", 600, _names),
        Attack("onnx", 150, _onnx),
        Attack("links", 500, _links),
        Attack("links in results", 400, _records_links),
        Attack("without locks", 200, _without_locks),
        Attack("full disk", 400, _full),
        Attack("places", 400, _places),
        Attack("boards", 50, _boards),
        *((Attack("users", 100, _users),) if os.geteuid() == 0 else ()),
    )
}
