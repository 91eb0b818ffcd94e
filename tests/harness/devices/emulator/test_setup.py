"""The set-up with programs that only pretend: order, going on, messages."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from facebench.architectures.errors import BadInputError, FacebenchError, UnavailableError
from facebench.harness.cli.commands.device_setup import setup_emulated
from facebench.harness.devices.emulator import recipes, setup, sysroot, wheels
from facebench.harness.devices.emulator.launcher import EmulatedLauncher
from facebench.harness.storage import cache
from facebench.harness.storage.progress import Progress
from tests.harness.devices.emulator.conftest import Stage

ARM64 = " ".join(sysroot.DEBIAN["aarch64"][1])
WHEELS = " ".join(f"{name}=={version}" for name, version in wheels.wanted().items())


def folder() -> Path:
    return cache.root() / "emulated"


def steps(asked: list[str]) -> list[str]:
    """What was asked without the unpacking of each package."""
    return [line for line in asked if not line.startswith("dpkg-deb")]


def aarch64_program(path: Path, machine: int = 183) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\x7fELF" + bytes(14) + machine.to_bytes(2, "little"))


def test_pieces_are_made_in_order_and_tried_out_last(stage: Stage) -> None:
    stage.set_up()
    assert steps(stage.asked()) == [
        "apt-get update",
        f"apt-get download {ARM64}",
        "apt-get update",
        "apt-get download libc6 libgcc-s1",
        f"pip {WHEELS}",
        "library plugin.c",
        "session aarch64-linux-gnu",
        "session arm-linux-gnueabihf",
        "qemu-aarch64 "
        f"import sys; sys.path[:0] = ['{folder()}/aarch64/site', '{recipes.PACKAGES}']; "
        f"import facebench; import {', '.join(wheels.wanted())}",
        f"qemu-aarch64 {folder()}/aarch64/session",
        f"qemu-arm {folder()}/armhf/session",
    ]


def test_each_step_is_told_before_it_is_done(stage: Stage) -> None:
    told: dict[str, int] = {}

    class Listening(Progress):
        def say(self, sentence: str) -> None:
            told[sentence] = len(stage.log.read_text().splitlines())

    setup.run(None, Listening())
    first, *_, last = told
    assert first.startswith("getting Debian's arm64 packages: python3.11-minimal")
    assert told[first] == 0
    assert last == "trying all of it out under QEMU"
    assert len(set(told.values())) == len(told)
    assert any("numpy" in line and "onnxruntime" in line for line in told)


def test_what_is_found_afterwards(stage: Stage) -> None:
    stage.set_up()
    found = setup.find()
    assert found.python == folder() / "aarch64/root/usr/bin/python3.11"
    assert found.python.exists()
    assert found.site.is_dir()
    assert found.plugin.read_text() == "first\n"
    assert found.root("armhf").is_dir()
    assert found.session("armhf").read_text() == "first\n"
    assert found.versions["qemu"] == "9.9.9 (Pretended)"
    assert found.versions["libc6"] == "1:2.3-4"
    assert found.versions["numpy"] == wheels.wanted()["numpy"]


def test_a_second_set_up_does_nothing(stage: Stage) -> None:
    stage.set_up()
    stage.asked()
    assert stage.set_up() == [f"all is there: {folder()}"]
    assert stage.asked() == []


def test_an_interrupted_set_up_goes_on(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(packages: object, path: Path) -> dict[str, str]:
        path.mkdir()
        (path / "half").touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(wheels, "install", interrupted)
        with pytest.raises(KeyboardInterrupt):
            stage.set_up()
    assert not (folder() / "aarch64" / "site").exists()
    assert not (folder() / "setup.json").exists()
    assert "did not end" in setup.ready()
    stage.asked()
    assert stage.set_up()[0].startswith("there already: Debian's arm64")
    assert steps(stage.asked())[0] == f"pip {WHEELS}"
    assert setup.ready() == ""


def test_what_a_killed_set_up_left_is_swept_up(stage: Stage) -> None:
    left = folder() / ".making-killed"
    (left / "made").mkdir(parents=True)
    stage.set_up()
    assert not left.exists()


def test_a_piece_without_its_note_is_made_again(stage: Stage) -> None:
    stage.set_up()
    stage.asked()
    (folder() / "armhf" / "root.json").unlink()
    assert "Debian's armhf packages" in setup.ready()
    stage.set_up()
    assert steps(stage.asked())[:2] == ["apt-get update", "apt-get download libc6 libgcc-s1"]
    assert setup.ready() == ""


@pytest.mark.parametrize(
    ("source", "built"),
    [
        ("plugin.c", ["library plugin.c"]),
        ("session.c", ["session aarch64-linux-gnu", "session arm-linux-gnueabihf"]),
    ],
)
def test_what_is_built_from_a_changed_source_is_built_again_by_itself(
    stage: Stage, source: str, built: list[str]
) -> None:
    stage.set_up()
    stage.asked()
    (stage.folder / "sources" / source).write_text("second\n")
    assert setup.COMMAND in setup.ready()
    found = setup.find()
    assert stage.asked() == built
    made = found.plugin if source == "plugin.c" else found.session("aarch64")
    assert made.read_text() == "second\n"
    assert setup.ready() == ""


def test_nothing_is_built_where_nothing_is_set_up(stage: Stage) -> None:
    setup.ensure_current()
    assert stage.asked() == []
    assert not folder().exists()


def test_another_release_of_a_package_is_installed_anew(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.set_up()
    stage.asked()
    newer = wheels.wanted() | {"ncnn": "9.0"}
    monkeypatch.setattr(wheels, "wanted", lambda ncnn="": newer)
    assert "ncnn 9.0" in setup.ready()
    stage.set_up()
    assert "ncnn==9.0" in steps(stage.asked())[0]
    assert setup.find().versions["ncnn"] == "9.0"


@pytest.fixture
def extras(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Two runtimes that are installed here on demand, in versions that can be changed."""
    versions = {"openvino": "2026.1", "absent-here": ""}
    real = wheels.environment.version
    monkeypatch.setattr(
        wheels.environment,
        "version",
        lambda name: versions[name] if name in versions else real(name),
    )
    monkeypatch.setattr(wheels, "EXTRAS", {"openvino": ("openvino",), "no": ("absent-here",)})
    return versions


def test_what_is_installed_here_on_demand_is_there_too_and_was_loaded(
    stage: Stage, extras: dict[str, str]
) -> None:
    stage.set_up()
    asked = steps(stage.asked())
    assert [line for line in asked if line.startswith("pip")][1:] == ["pip openvino==2026.1"]
    assert [line for line in asked if "RUNTIMES['openvino'].load()" in line]
    found = setup.find()
    assert found.extras() == ["openvino"]
    assert found.versions["openvino"] == "2026.1"
    assert found.packages("openvino")[0] == folder() / "aarch64" / "openvino"
    assert found.packages("ncnn")[0] == found.site
    assert stage.set_up() == [f"all is there: {folder()}"]


def test_an_older_set_up_lacks_it_alone_until_the_command_is_run_again(
    stage: Stage, extras: dict[str, str]
) -> None:
    extras["openvino"] = ""
    stage.set_up()
    stage.asked()
    extras["openvino"] = "2026.1"
    assert setup.ready() == ""
    launcher = EmulatedLauncher("cortex-a72")
    assert launcher.runtimes() == ["ncnn", "onnxruntime", "tvm"]
    with pytest.raises(UnavailableError, match=f"openvino is not set up.*{setup.COMMAND}"):
        launcher.require("openvino")
    stage.set_up()
    assert [line for line in steps(stage.asked()) if line.startswith("pip")] == [
        "pip openvino==2026.1"
    ]
    assert EmulatedLauncher("cortex-a72").runtimes()[-1] == "openvino"
    extras["openvino"] = "2026.2"
    assert setup.find().extras() == []
    stage.set_up()
    assert setup.find().versions["openvino"] == "2026.2"


def test_one_without_a_wheel_is_gone_without_and_its_reason_is_kept(
    stage: Stage, extras: dict[str, str]
) -> None:
    pip = stage.folder / "python" / "pip" / "__main__.py"
    pip.write_text(
        "import sys\nif any('openvino' in word for word in sys.argv):\n"
        "    sys.exit('ERROR: No matching distribution found for openvino')\n" + pip.read_text()
    )
    lines = stage.set_up()
    assert [line for line in lines if "goes on without aarch64 wheels: openvino 2026.1" in line]
    assert setup.ready() == ""
    assert "openvino" not in setup.find().versions
    with pytest.raises(UnavailableError, match=r"openvino is not set up.*No matching distrib"):
        EmulatedLauncher("cortex-a72").require("openvino")
    with pytest.raises(UnavailableError, match="does not run on the emulated cortex-a7: use tvm"):
        EmulatedLauncher("cortex-a7").require("openvino")


def test_a_set_up_that_does_not_run_is_not_ready(stage: Stage) -> None:
    stage.program(
        "qemu-aarch64",
        'case "$1" in --help) echo -plugin;; *) echo "Segmentation fault" >&2; exit 139;; esac',
    )
    with pytest.raises(UnavailableError, match=r"qemu-aarch64 failed \(Segmentation fault\)"):
        stage.set_up()
    assert "did not end" in setup.ready()


def test_a_folder_of_the_users_serves_as_the_sysroot(stage: Stage, tmp_path: Path) -> None:
    aarch64_program(tmp_path / "linux" / "usr" / "bin" / "python3.11")
    stage.set_up(tmp_path / "linux")
    assert not any(ARM64 in line for line in stage.asked())
    found = setup.find()
    assert found.python.samefile(tmp_path / "linux" / "usr" / "bin" / "python3.11")
    assert found.versions["python3.11"] == "3.11.9"
    assert stage.set_up() == [f"all is there: {folder()}"]


def test_without_apt_a_given_sysroot_is_enough_for_aarch64(stage: Stage, tmp_path: Path) -> None:
    stage.remove("apt-get")
    aarch64_program(tmp_path / "linux" / "usr" / "bin" / "python3.11")
    lines = stage.set_up(tmp_path / "linux")
    assert [line for line in lines if "without ARMv7: cannot run apt-get" in line]
    assert setup.ready() == ""
    with pytest.raises(UnavailableError, match="armhf is not set up"):
        setup.find().root("armhf")
    stage.program("apt-get", "exit 0")
    assert "getting Debian's armhf packages: libc6, libgcc-s1" in stage.set_up()


def test_a_sysroot_that_is_gone_is_missing(stage: Stage, tmp_path: Path) -> None:
    aarch64_program(tmp_path / "linux" / "usr" / "bin" / "python3.11")
    stage.set_up(tmp_path / "linux")
    (tmp_path / "linux").rename(tmp_path / "elsewhere")
    assert "lacks Debian's arm64 packages" in setup.ready()
    stage.set_up()
    assert setup.ready() == ""
    assert not (folder() / "aarch64" / "root").is_symlink()


@pytest.mark.parametrize(
    ("machine", "reason"), [(None, "cannot be read"), (62, "is no program of aarch64")]
)
def test_a_folder_that_is_no_sysroot_is_refused(
    stage: Stage, tmp_path: Path, machine: int | None, reason: str
) -> None:
    given = tmp_path / "linux"
    if machine is not None:
        aarch64_program(given / "usr" / "bin" / "python3.11", machine)
    with pytest.raises(BadInputError, match=f"{reason}.*usr/bin/python3.11"):
        stage.set_up(given)


def test_a_sysroot_with_another_python_is_refused(stage: Stage, tmp_path: Path) -> None:
    aarch64_program(tmp_path / "usr" / "bin" / "python3.11")
    stage.program("qemu-aarch64", 'case "$1" in --help) echo -plugin;; *) echo "3.9.2 (x)";; esac')
    with pytest.raises(BadInputError, match="its Python is '3.9.2'"):
        stage.set_up(tmp_path)


def test_missing_qemu_is_named_with_the_command(stage: Stage) -> None:
    stage.set_up()
    stage.remove("qemu-arm")
    assert setup.ready() == (
        "qemu-arm is not installed: 'sudo apt-get install qemu-user' installs it"
    )
    with pytest.raises(UnavailableError, match="sudo apt-get install qemu-user"):
        stage.set_up()


def test_a_qemu_without_plugins_is_told_apart(stage: Stage) -> None:
    stage.program("qemu-aarch64", "echo '-strace log system calls'")
    with pytest.raises(UnavailableError, match="runs no plugins.*qemu-user"):
        stage.set_up()
    assert stage.asked() == []


@pytest.mark.parametrize(
    ("apt", "reason"),
    [
        (None, "cannot run apt-get"),
        ("echo 'E: Unable to locate package python3.11-minimal' >&2; exit 100", "Unable to loc"),
        (
            '[ "$4" = update ] && text="Could not resolve host" || text="Unable to locate"\n'
            'echo "E: $text" >&2; exit 100',
            "Could not resolve host",
        ),
    ],
)
def test_without_debians_packages_a_sysroot_is_asked_for(
    stage: Stage, apt: str | None, reason: str
) -> None:
    stage.program("apt-get", apt) if apt else stage.remove("apt-get")
    with pytest.raises(UnavailableError, match=f"{reason}.*--sysroot"):
        stage.set_up()


def test_a_package_list_that_cannot_be_had_does_not_matter_where_the_packages_can(
    stage: Stage,
) -> None:
    script = (stage.folder / "bin" / "apt-get").read_text()
    stage.program("apt-get", script.replace("exit 0", "exit 100"))
    stage.set_up()
    assert setup.ready() == ""


def test_a_download_that_lacks_a_package_is_refused(stage: Stage) -> None:
    script = (stage.folder / "bin" / "apt-get").read_text()
    stage.program("apt-get", script.replace("for name;", "shift; for name;"))
    with pytest.raises(UnavailableError, match="downloaded no python3.11-minimal"):
        stage.set_up()


def test_the_reason_of_pip_is_told(stage: Stage) -> None:
    (stage.folder / "python" / "pip" / "__main__.py").write_text(
        "import sys\nprint('WARNING: old', file=sys.stderr)\n"
        "print('ERROR: No matching distribution found for ncnn==1', file=sys.stderr)\nsys.exit(1)\n"
    )
    with pytest.raises(UnavailableError, match=r"\(No matching distribution found for ncnn==1\)"):
        stage.set_up()


def test_another_ncnn_is_installed_and_kept_until_another_is_asked_for(stage: Stage) -> None:
    stage.set_up()
    stage.asked()
    stage.set_up(ncnn="1.0.20230816")
    (asked,) = (line for line in stage.asked() if line.startswith("pip"))
    assert "ncnn==1.0.20230816" in asked
    assert setup.find().versions["ncnn"] == "1.0.20230816"
    assert stage.set_up() == [f"all is there: {folder()}"]
    stage.set_up(ncnn="1.0.20240102")
    assert setup.find().versions["ncnn"] == "1.0.20240102"


def test_an_ncnn_that_cannot_be_had_is_not_kept(stage: Stage) -> None:
    stage.set_up()
    before = setup.find().versions["ncnn"]
    pip = stage.folder / "python" / "pip" / "__main__.py"
    works = pip.read_text()
    pip.write_text("import sys; sys.exit('ERROR: No matching distribution found')")
    with pytest.raises(UnavailableError, match="No matching distribution"):
        stage.set_up(ncnn="1.0.20190101".replace("2019", "2039"))
    pip.write_text(works)
    stage.set_up()
    assert setup.find().versions["ncnn"] == before


def test_what_is_no_version_of_ncnn_is_refused(stage: Stage) -> None:
    with pytest.raises(BadInputError, match="they are dates"):
        stage.set_up(ncnn="latest")


def test_what_is_not_set_up_is_said_in_one_line(stage: Stage) -> None:
    with pytest.raises(UnavailableError, match="facebench device setup-emulated") as error:
        setup.find()
    assert "\n" not in str(error.value)


def test_the_command_prints_its_steps_apart_from_its_result(stage: Stage) -> None:
    done = CliRunner().invoke(setup_emulated, ["--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["folder"] == str(folder())
    assert "getting QEMU's plugin" in done.stderr
    again = CliRunner().invoke(setup_emulated, [])
    assert again.stdout == f"the emulated device is ready: {folder()}\n"


def test_the_command_leaves_errors_to_the_command_line(stage: Stage) -> None:
    stage.remove("qemu-aarch64")
    done = CliRunner().invoke(setup_emulated, [])
    assert isinstance(done.exception, FacebenchError)
    assert done.stdout == ""
