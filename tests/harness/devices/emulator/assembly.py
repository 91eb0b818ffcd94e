"""Machine code of A64 assembly, by LLVM's assembler."""

import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile


@cache
def assembled(text: str) -> bytes:
    """The machine code of lines of assembly; the test skips where there is no assembler."""
    pytest.importorskip("ziglang", reason="'pip install ziglang' installs LLVM's assembler")
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder, "a.s"), Path(folder, "a.o")
        source.write_text(f".arch armv8.2-a+fp16+dotprod+fp16fml\n.text\n{text}\n")
        zig = [sys.executable, "-P", "-m", "ziglang", "cc", "-target", "aarch64-linux-musl"]
        command = [*zig, "-c", str(source), "-o", str(made)]
        subprocess.run(command, check=True, capture_output=True)
        with made.open("rb") as file:
            section = ELFFile(file).get_section_by_name(".text")
            assert section is not None
            return bytes(section.data())


@cache
def words(*lines: str) -> dict[str, bytes]:
    """The machine code of each of some lines; one call of the assembler is a second."""
    code = assembled("\n".join(lines))
    return {line: code[4 * number : 4 * number + 4] for number, line in enumerate(lines)}
