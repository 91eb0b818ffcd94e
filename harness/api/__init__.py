"""What `import facebench` gives to notebooks, scripts and other programs.

The functions do what the commands of their names do, with the same records, cache and
fingerprints: what was run here is not run again there. A network is a name (`mobilefacenet`,
`timm:ghostnet_100:gap`), a file (`my.onnx`, `my.tflite`, or Python that registers networks), or
a module of torch.
"""

from facebench.architectures import errors
from facebench.harness.api.claims_found import Claims, claims
from facebench.harness.api.comparing import Changes, compare
from facebench.harness.api.making import compile, export
from facebench.harness.api.measuring import CaseWarning, cost, latency, verify
from facebench.harness.api.naming import network, networks
from facebench.harness.api.record_set import Records, ReportTable, read, reference
from facebench.harness.api.scores import Scores

__all__ = [
    "CaseWarning",
    "Changes",
    "Claims",
    "Records",
    "ReportTable",
    "Scores",
    "claims",
    "compare",
    "compile",
    "cost",
    "errors",
    "export",
    "latency",
    "network",
    "networks",
    "read",
    "reference",
    "verify",
]
