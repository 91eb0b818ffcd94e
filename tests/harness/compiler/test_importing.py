"""Networks whose graphs work out shapes are imported for one batch; others are refused quietly."""

import json
import warnings
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

from facebench.architectures.errors import BadInputError
from facebench.harness.compiler.graph.nodes import shape
from facebench.harness.compiler.importing import import_network
from facebench.harness.models.export import Exported

SIZE = 16


class Tokens(nn.Module):
    """A class token beside patches, for as many images as come."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 6, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, 6))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        joined = torch.cat([self.token.expand(images.shape[0], -1, -1), tokens], 1)
        return joined.reshape(images.shape[0], joined.shape[1], -1).mean(1)


def folder_of(path: Path) -> Exported:
    (path / "facts.json").write_text(json.dumps({"input_size": [SIZE, SIZE]}))
    return Exported(path)


@pytest.mark.parametrize("batch", [1, 3])
def test_shapes_that_a_graph_works_out_are_constants_of_the_batch(
    batch: int, tmp_path: Path
) -> None:
    path = tmp_path / "network.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Tokens().eval(),
            (torch.zeros(1, 3, SIZE, SIZE),),
            str(path),
            dynamo=False,
            opset_version=17,
            input_names=["image"],
            dynamic_axes={"image": {0: "batch"}},
        )
    assert "Shape" in {node.op_type for node in onnx.load(path).graph.node}
    main = import_network(folder_of(tmp_path), batch)["main"]
    assert shape(main.body.body) == (batch, 6)


def test_an_operator_that_tvm_lacks_is_one_sentence_and_nothing_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
    agraph (float[N, 3, 16, 16] image) => (float[N, 3] embedding) { embedding = Det(image) }"""
    onnx.save(onnx.parser.parse_model(text), tmp_path / "network.onnx")
    with pytest.raises(BadInputError, match="TVM cannot import this network") as refused:
        import_network(folder_of(tmp_path), 1)
    assert "\n" not in str(refused.value)
    assert capsys.readouterr().out == ""
