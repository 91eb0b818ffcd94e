"""Run at the start of each Python process that tests start: `tests.conftest` puts it on the path.

Tests look at none of what these limits bound: the peak of memory is read from four times what
the last cache holds, seconds where that is large; and a timed process waits up to a second for
a quiet moment, which does not come while other tests run. Where a test says so in a variable,
no process waits long for a board that is gone.
"""

import os
import sys

if "facebench.harness.timing.peak_worker" in sys.orig_argv:
    from facebench.harness.machine import caches

    caches.last_level_bytes = lambda found: 2**25

if "facebench.harness.runs.worker" in sys.orig_argv:
    from facebench.harness.machine import busy

    _wait = busy.wait_for_quiet
    busy.wait_for_quiet = lambda threads, limit_s, **more: _wait(
        threads, min(limit_s, 0.05), **more
    )

if "FACEBENCH_TEST_BOARD_IS_GONE" in os.environ:
    from facebench.harness.devices.board import dialling

    dialling.RETURN_S = 0.5
