"""Makes an ONNX file in half precision or int8 of one in single precision.

What B. Jacob et al. say of int8 ("Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference", CVPR 2018, arXiv 1712.05877), and what is
done here:

- Taken: the affine map r = S (q - Z) with an exact zero (equation 1), biases in int32 at
  the product of two scales (2.4), batch normalization folded first (3.2), and weights
  narrower than 8 bits' full range so that 16-bit sums hold (appendix B).
- Not taken: simulated quantization in training (3). These networks are quantized after
  training, so what they lose is no measure of what that method would.
- Other: a scale for each output channel of the weights, since folded normalization
  spreads them widely (R. Krishnamoorthi, arXiv 1806.08342, section 3), not one a layer.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from facebench.architectures.errors import RefusedError
from facebench.harness.models.ends import ends_of
from facebench.harness.models.export import Exported
from facebench.harness.stats.arrays import FloatArray

if TYPE_CHECKING:
    import onnx
    from onnxruntime.quantization import TensorsData


@dataclass(frozen=True)
class Quantizer:
    """It puts networks in int8 for one runtime, which does not read the ONNX file that others do.

    Attributes:
        write: writes a network in int8 into a folder, where the runtime's `prepare` finds it; of
            the network in single precision, images (N, 3, H, W) that set the ranges of its
            activations, and the folder. Returns the runtime's embeddings (N, E) of these images.
        depends_on: returns what its files depend on beside network and images.
        features: of CPUs, as LLVM names them; the runtime has no int8 on one that has not all of
            one of these. Empty where any CPU will do.
    """

    write: Callable[[Exported, FloatArray, Path], FloatArray]
    depends_on: Callable[[], object]
    features: tuple[tuple[str, ...], ...] = ()


def halve(source: Path, target: Path) -> None:
    """Put weights and arithmetic in half precision; images and embeddings stay in single.

    Where a runtime has no kernel in half, as ONNX Runtime on x86, it computes in single what
    the file says in half: then the file is smaller and not faster.
    """
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), target)


def quantize(name: str, source: Path, target: Path, images: FloatArray) -> None:
    """Put weights in int8, symmetric for each output channel; activations in uint8 (QDQ format).

    Weights take 7 of the 8 bits: AVX2 without VNNI adds pairs of u8 times s8 in 16 bits, which
    saturate otherwise (onnxruntime.quantization.quantize_static, "Choosing parameters for
    CPU inference"). On such a machine (AMD EPYC) all 8 bits bring the lowest cosine to fp32 over
    512 faces from 0.92 down to 0.60, for the same time. It is so everywhere: a file whose
    accuracy depended on where it was made could not be compared.

    Images (N, 3, H, W) set the ranges; the outermost 0.004 % of each activation are cut. Over 128
    faces, calibrated on 256 others, embeddings of the shipped MobileFaceNet, MobileNetV1,
    MobileNetV2 and ShuffleNet are off by an angle of 0.111, 0.127, 0.089 and 0.154 with that
    (root mean square), 0.106, 0.131, 0.093 and 0.154 where 0.01 % is cut, and 0.172, 0.173, 0.095
    and 0.174 with the whole range (MinMax). Entropy with the package's 128 bins is MinMax.
    """
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as temporary, contextlib.redirect_stdout(io.StringIO()):
        prepared, ranges = (Path(temporary) / one for one in ("prepared.onnx", "ranges.json"))
        try:
            # ONNX's own inference of shapes is enough for networks without symbolic ones.
            quant_pre_process(source, prepared, skip_symbolic_shape=True)
            quantization.save_tensors_data(_ranges(onnx.load(prepared), images), ranges)
            quantization.quantize_static(
                prepared,
                target,
                calibration_data_reader=None,
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                reduce_range=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                calibrate_method=quantization.CalibrationMethod.Percentile,
                calibration_cache_path=ranges,
            )
        except OSError:
            raise
        except Exception as error:  # onnx and the quantizer raise a dozen kinds
            first = str(error).strip().splitlines() or [type(error).__name__]
            raise RefusedError(
                f"{name} cannot be quantized to int8 ({first[0]}): use fp32 or fp16"
            ) from error
    if not _holds_int8(target):
        raise RefusedError(
            f"{name} has no operator whose weights can be quantized to int8: use fp32 or fp16"
        )


def _ranges(model: onnx.ModelProto, images: FloatArray) -> TensorsData:
    """Return the ranges of all values, found here: the package's own histograms take ten times as
    long, and say no more than between which of 2,048 bins a range ends."""
    import onnx
    from onnxruntime import quantization

    # Exporters of before 2020 list weights among the inputs, and leave notes of values that
    # nothing computes any more.
    computed = {"image"}.union(*(node.output for node in model.graph.node))
    names = [
        one.name
        for one in (*model.graph.input, *model.graph.value_info, *model.graph.output)
        if one.name in computed and one.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    ]
    return quantization.TensorsData(
        quantization.CalibrationMethod.Percentile,
        {
            name: quantization.TensorData(lowest=ends.lowest, highest=ends.highest)
            for name, ends in ends_of(model, names, images).items()
        },
    )


def _holds_int8(path: Path) -> bool:
    import onnx

    weights = onnx.load(path).graph.initializer
    return any(one.data_type == onnx.TensorProto.INT8 and one.dims for one in weights)
