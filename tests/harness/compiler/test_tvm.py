"""A TVM that is not whole is told from one that is."""

import os
import subprocess
import sys


def test_a_tvm_without_its_compiler_is_one_sentence() -> None:
    code = "from facebench.harness.compiler.tvm import import_tvm; import_tvm()"
    # It does the same where the compiler's library cannot be loaded, as with too little memory.
    env = os.environ | {"TVM_USE_RUNTIME_LIB": "1"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, env=env
    )
    assert "UnavailableError: TVM cannot load its compiler" in done.stderr
