"""Lists the types of results, by the measure that gives them.

Each measure registers its own, and is loaded when a record of one is first read. This module
needs neither torch nor TVM.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from facebench.architectures.extensions import load_installed
from facebench.architectures.registry import Registry


@dataclass(frozen=True)
class Result:
    """A result is what comes of a case: a frozen dataclass for each measure.

    Raw samples and counts are kept; statistics are properties of them. A field `label` says
    what limits the meaning of the figures, such as `untuned`.
    """


RESULTS: Registry[type[Result]] = Registry(
    "measure", "facebench.harness.measures", partial(load_installed, "measures")
)
