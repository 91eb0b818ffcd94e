"""The names, the facts that go with them, and names that are not."""

import importlib

import pytest

from facebench.architectures.errors import UnknownNameError
from facebench.architectures.registry import (
    Registry,
    families,
    find,
    mobile_names,
    names,
    paper_names,
)
from facebench.harness.records.store import paper_table

ALL = [
    "mobilefacenet",
    "mobilefacenet_112x96",
    "mobilefacenet_96x96",
    "mobilefacenet_m",
    "mobilefacenet_s",
    "mobilefacenet_relu",
    "mobilefacenet_x2",
    "mobilefacenet_gap",
    "mobilenet_v1",
    "mobilenet_v1_gdconv",
    "mobilenet_v2",
    "mobilenet_v2_gdconv",
    "shufflenet_v1",
    "shufflenet_v1_gdconv",
]
WIDER = [name for name in names() if name not in ALL]
HOSTILE = [
    "",
    " ",
    "mobilefacenet ",
    "MobileFaceNet",
    "../mobilefacenet",
    "mobilefacenet\n",
    "mobilefacenet:gap",
    "onnx_or_else:file",
    ":",
    "timm:",
    "timm::",
    "timm::gap",
    "timm: resnet18",
    "timm:resnet18:",
    "timm:resnet18:arcface",
    "timm:resnet18:gap:fc",
    "timm:RESNET18",
    "timm:resnet18.a1_in1k",
    "timm:hf-hub:timm/resnet18",
    "timm:local-dir:/etc",
    "顔",
    "x" * 10_000,
]


def test_the_papers_fourteen_come_first_mobilefacenet_foremost():
    assert names()[:14] == paper_names() == ALL


@pytest.mark.parametrize("name", WIDER)
def test_beside_the_paper_a_network_brings_its_published_figures(name):
    assert find(name).published.source
    assert not find(name).paper_row


def test_all_but_the_large_are_for_phones():
    assert set(mobile_names()) == {name for name in names() if not find(name).large}
    assert set(paper_names()) <= set(mobile_names())


def test_rows_of_table_2_are_each_taken_once():
    rows = [find(name).paper_row for name in names()]
    assert sorted(row for row in rows if row) == sorted(row["network"] for row in paper_table(2))


@pytest.mark.parametrize("name", [name for name in ALL if find(name).paper_row])
def test_input_size_is_that_of_table_2(name):
    (row,) = [row for row in paper_table(2) if row["network"] == find(name).paper_row]
    assert find(name).input_size == (int(row["height"]), int(row["width"]))


@pytest.mark.parametrize("name", names())
def test_an_architecture_names_itself_and_its_source(name):
    assert find(name).name == name
    assert find(name).reference.startswith(
        (
            *("arXiv ", "AAAI ", "IEEE ", "ICCVW ", "ECCV ", "BMVC ", "CVPR ", "ICPR "),
            "insightface",
            # KANFace has its code and its table there, and no paper.
            "github.com/",
        )
    )


def test_the_ambiguous_variant_says_which_reading_it_takes():
    assert "last bottleneck stage" in find("mobilefacenet_x2").note


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_is_none_is_refused_in_one_sentence(name):
    with pytest.raises(UnknownNameError, match=r"^unknown "):
        find(name)


def test_the_nearest_names_are_offered():
    with pytest.raises(UnknownNameError, match="did you mean mobilefacenet"):
        find("mobilfacenet")
    with pytest.raises(UnknownNameError, match="did you mean mobilenetv3_small_100"):
        find("timm:mobilenetv3_smal_100")
    with pytest.raises(UnknownNameError, match="known: gdconv, gap, fc"):
        find("timm:resnet18:arcface")


def test_the_head_of_a_timm_network_is_always_in_its_name():
    assert "timm" in families()
    assert find("timm:resnet18").name == "timm:resnet18:gdconv"
    assert find("timm:resnet18:fc").name == "timm:resnet18:fc"


def test_no_two_entries_share_a_name():
    registry = Registry[int]("number")
    registry.add("one", 1)
    with pytest.raises(ValueError, match="'one' is registered twice"):
        registry.add("one", 2)
    assert registry["one"] == 1


def test_entries_of_a_package_are_in_one_order_whichever_module_was_imported_first(
    tmp_path, monkeypatch
):
    package = tmp_path / "numbers_in_order"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from facebench.architectures.registry import Registry\n"
        "NUMBERS = Registry('number', 'numbers_in_order')\n"
    )
    for name in "abc":
        (package / f"{name}.py").write_text(
            f"from numbers_in_order import NUMBERS\nNUMBERS.add('{name}2', 2)\n"
            f"NUMBERS.add('{name}1', 1)\n"
        )
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("numbers_in_order.c")
    numbers = importlib.import_module("numbers_in_order").NUMBERS
    numbers.add("one of the user's", 0)
    assert numbers.names() == ["a2", "a1", "b2", "b1", "c2", "c1", "one of the user's"]


def test_entries_keep_the_order_of_registration():
    registry = Registry[int]("number")
    for name in ("b", "a", "c"):
        registry.add(name, 0)
    assert registry.names() == ["b", "a", "c"]
    assert "a" in registry
    assert "d" not in registry
    assert list(registry) == [0, 0, 0]
