"""Files of weights are the same each time that they are written, and are what the library reads."""

from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load, save

from facebench.harness.storage.tensor_files import in_order

TENSORS = {
    "weights": np.arange(6, dtype=np.float16).reshape(2, 3),
    "bias": np.ones(3, np.float32),
    "nothing": np.zeros((0, 4), np.float32),
}


@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_what_is_written_again_is_the_same_file(count: int, tmp_path: Path) -> None:
    metadata = {f"fact {i}": 'é "quoted" \\ \n' * (i + 1) for i in range(count)}
    # Among sixteen files of nine metadata, the library writes more than one order.
    written = [in_order(save(TENSORS, metadata)) for _ in range(16)]
    assert len(set(written)) == 1
    path = tmp_path / "a.safetensors"
    path.write_bytes(written[0])
    with safe_open(path, "numpy") as file:
        assert (file.metadata() or {}) == metadata
    found = load(written[0])
    assert found.keys() == TENSORS.keys()
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_metadata_are_in_alphabetical_order() -> None:
    written = in_order(save(TENSORS, {"b": "2", "a": "1", "c": "3"}))
    assert b'"__metadata__":{"a":"1","b":"2","c":"3"}' in written
