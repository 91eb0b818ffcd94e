"""Networks of a user's file and of installed packages are known; broken ones are named."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from facebench.architectures import extensions
from facebench.architectures.errors import BadInputError
from facebench.architectures.registry import Registry
from facebench.harness.models import export
from facebench.harness.models.networks import resolve
from tests.plugins import in_a_process, plugin
from tests.sampling import today

OWN = """
from torch import nn
from facebench.architectures.registry import register

@register("mine_{name}", input_size=(32, 32), embedding_size=4, reference="mine")
def _mine():
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))
"""


def test_a_users_file_registers_networks_that_carry_its_hash(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(OWN.format(name="one"))
    code = (
        "from facebench.harness.models.networks import resolve\n"
        "from facebench.architectures import extensions\n"
        "network = resolve('mine_one')\n"
        "assert network.source == extensions.digest(extensions.user_files()[0])\n"
        "assert resolve('mobilefacenet').source == ''\n"
        "from facebench.harness.measures.job import Job\n"
        "from facebench.harness.records.case import Case\n"
        "from facebench.harness.storage.serialization import convert\n"
        "job = Job(Case('cost', 'mine_one'), network)\n"
        "assert convert(job.to_json(), Job).network == network\n"
    )
    done = in_a_process(code, FACEBENCH_NETWORKS=str(path))
    assert done.returncode == 0, done.stderr


def test_an_edit_makes_another_network_of_it() -> None:
    network = resolve("mobilefacenet")
    keys = {export.key(replace(network, source=source)) for source in ("", "one", "two")}
    assert len(keys) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\nx.missing\n", r"own\.py, line 2: AttributeError"),
        ("def (:\n", r"own\.py, line 1: SyntaxError"),
        ("import not_installed_anywhere", r"line 1: ModuleNotFoundError"),
        (OWN.format(name="two") + OWN.format(name="two"), "registered twice"),
        ("from facebench.architectures import names\n", "ImportError"),
    ],
)
def test_a_broken_file_is_named_with_its_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(text)
    code = (
        "from pathlib import Path; from facebench.architectures import extensions\n"
        "from facebench.architectures.errors import BadInputError\n"
        "try:\n"
        f"    extensions.load_file(Path({str(path)!r}))\n"
        "except BadInputError as error:\n"
        "    print(error)\n"
    )
    assert re.search(said, in_a_process(code).stdout)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot read .*none.py"):
        extensions.load_file(tmp_path / "none.py")
    done = in_a_process("from facebench.harness.cli.main import main; import sys; "
                        "sys.argv = ['facebench', 'list']; main()",
                        FACEBENCH_NETWORKS=str(tmp_path / "none.py"))  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_a_file_that_ends_the_process_is_named(tmp_path: Path) -> None:
    (tmp_path / "ends.py").write_text("import sys\n\nsys.exit()\n")
    with pytest.raises(BadInputError, match=r"ends\.py, line 3: SystemExit"):
        extensions.load_file(tmp_path / "ends.py")


def test_an_installed_package_registers_networks(tmp_path: Path) -> None:
    plugin(tmp_path, OWN.format(name="three"), "networks")
    code = (
        "from facebench.harness.models.networks import resolve; print(resolve('mine_three').source)"
    )
    done = in_a_process(code, PYTHONPATH=f"{tmp_path}:{Path.cwd()}")
    assert done.stdout.strip() == "facebench-plugin 1.2"


@pytest.mark.parametrize(
    ("does", "said"),
    today(
        [
            ("raise RuntimeError('out of order')", "RuntimeError: out of order"),
            ("import sys; sys.exit(0)", "SystemExit: 0"),
        ],
        1,
    ),
)
def test_a_package_that_fails_is_named_and_passed_over(
    tmp_path: Path, does: str, said: str
) -> None:
    kinds = ("networks", "runtimes", "datasets", "measures")
    plugin(tmp_path, does, *kinds)
    code = "import sys; sys.argv = ['facebench', 'list']; import facebench.__main__"
    done = in_a_process(code, PYTHONPATH=f"{tmp_path}:{Path.cwd()}")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("facebench-plugin is passed over") == len(kinds)
    assert done.stderr.count(said) == len(kinds)
    assert "mobilefacenet" in done.stdout


def test_what_is_outside_comes_after_what_is_ours() -> None:
    seen: list[str] = []
    registry: Registry[int] = Registry("number", "tests.architectures", lambda: seen.append("x"))
    assert registry.names() == []
    assert seen == ["x"]
