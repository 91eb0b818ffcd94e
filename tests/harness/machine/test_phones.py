"""Phones of the user's own are kept as they were told, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from facebench.architectures.errors import BadInputError, RefusedError, UnknownNameError
from facebench.harness.cli.main import cli
from facebench.harness.devices.emulator import anchors, measured, model
from facebench.harness.machine import phones
from facebench.harness.machine.boards import described
from facebench.harness.machine.phones import Figure, Phone

# The shape of what ncnn's benchmark program prints, with made-up times.
BENCHNCNN = """\
loop_count = 8
num_threads = 1
powersave = 2
gpu_device = -1
          squeezenet  min =   20.10  max =   20.90  avg =   20.40
           mobilenet  min =   21.00  max =   22.00  avg =   21.50
  vision_transformer  min =  900.00  max =  910.00  avg =  905.00
"""

TFLITE = """\
STARTING!
Graph: [/data/local/tmp/mobilenet_v1.tflite]
Inference timings in us: Init: 1000, First inference: 40000, Warmup (avg): 33000, Inference: 31500
"""


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path


def run(*words: str, text: str | None = None) -> str:
    done = CliRunner().invoke(cli, ["phone", "add", *words], input=text)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def test_a_phone_is_a_core_at_its_clock() -> None:
    phones.keep(Phone("mine", "cortex-a76", 2.8))
    found = described("mine")
    assert found.name == "cortex-a76"
    assert found.figures is not None
    assert found.figures.frequency_hz == 2_800_000_000
    assert "owner" in found.source("frequency_hz")
    assert phones.names() == ["mine"]


def test_a_name_that_nobody_gave_is_unknown() -> None:
    with pytest.raises(UnknownNameError):
        described("nobodys")


@pytest.mark.parametrize(
    ("phone", "reason"),
    [
        (Phone("../evil", "kryo", 2.0), "cannot be a phone's name"),
        (Phone("My Phone", "kryo", 2.0), "cannot be a phone's name"),
        (Phone("kryo", "kryo", 2.0), "not the name of a core"),
        (Phone("mine", "kryo", 2150.0), "in GHz"),
        (Phone("mine", "cortex-a7", 1.2), "no figures"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_kept(phone: Phone, reason: str) -> None:
    with pytest.raises(BadInputError, match=reason):
        phones.keep(phone)
    assert phones.names() == []


def test_a_damaged_file_is_named() -> None:
    phones.keep(Phone("mine", "kryo", 2.0))
    (phones.folder() / "mine.json").write_text("{")
    with pytest.raises(BadInputError, match=r"mine\.json"):
        described("mine")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("MobileNetV1 31.5 ms", [Figure("mobilenet", 31.5)]),
        ("mobilenet-v2: 20 ms\nShuffleNet V2 = 9.5 ms\n", [
            Figure("mobilenet_v2", 20.0), Figure("shufflenet_v2", 9.5)]),
        (BENCHNCNN, [Figure("squeezenet", 20.1), Figure("mobilenet", 21.0)]),
    ],
)  # fmt: skip
def test_times_are_read_in_the_forms_that_people_have(text: str, found: list[Figure]) -> None:
    assert list(measured.parse(text)) == found


@pytest.mark.parametrize(
    ("text", "error", "reason"),
    [
        ("", BadInputError, "no time was found"),
        ("MobileNetV9 3 ms", BadInputError, "known are"),
        (BENCHNCNN.replace("threads = 1", "threads = 4"), BadInputError, "4 threads"),
        (TFLITE, RefusedError, "TFLite"),
    ],
)
def test_other_texts_are_refused(text: str, error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason):
        measured.parse(text)


def test_a_measured_time_moves_modelled_ones_towards_it_and_narrows_them() -> None:
    plain = anchors.of_device("cortex-a76")
    (held,) = anchors.of_phone(Phone("mine", "cortex-a76", 2.8, (Figure("mobilenet", 20.0),)))
    slower = Figure("mobilenet", 1.2 * held.modelled_ms)
    phones.keep(Phone("mine", "cortex-a76", 2.8, (slower,)))
    found = anchors.of_device("mine")
    assert 1.0 < found.factor < 1.2
    assert found.reach < plain.reach == model.constants().time_reach


def test_a_board_is_corrected_by_its_published_times() -> None:
    found = anchors.of_device("rk3399")
    assert found.rows > 10
    assert found.reach < model.constants().time_reach
    assert anchors.of_device("raspberry-pi-4").rows == 0


def test_the_command_says_what_contradicts_the_model() -> None:
    (held,) = anchors.of_phone(Phone("x", "cortex-a76", 2.8, (Figure("mobilenet", 20.0),)))
    words = ("mine", "--core", "cortex-a76", "--ghz", "2.8", "--measured", "-")
    fits = run(*words, text=f"MobileNetV1 {held.modelled_ms:.2f} ms\n")
    assert "contradicts" not in fits
    assert "times are multiplied by 1.00" in fits
    wrong = run(*words, text=f"MobileNetV1 {3 * held.modelled_ms:.2f} ms\n")
    assert "contradicts the model" in wrong


def test_a_board_keeps_its_name() -> None:
    assert "choose another name" in run("rk3399", "--core", "cortex-a72", "--ghz", "1.8")
    assert phones.names() == []
