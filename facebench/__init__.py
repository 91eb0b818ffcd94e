"""Which face-verification network to put on a phone, and the proof.

`facebench.latency("mobilefacenet")` and the other public functions are those of the package
`harness.api`, which is imported when one of them is first asked for.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# Builds of onnxruntime report its use to its maker, and keep a number of this machine in the
# user's folder, unless this is set before they are loaded.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# Relative: all modules stand in this one, and would depend on what it is seen to import
# (`harness/storage/fingerprints.py`).
if TYPE_CHECKING:
    from .harness.api import *  # noqa: F403
else:

    def __getattr__(name: str) -> Any:
        """Return a public name; `harness.api` lists them."""
        if not name.startswith("_"):
            api = import_module(".harness.api", __name__)
            if name in api.__all__:
                return getattr(api, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names, for completion."""
    names: list[str] = import_module(".harness.api", __name__).__all__
    return sorted(names)
