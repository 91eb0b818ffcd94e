"""Kinds of instructions, held against an assembler."""

import pytest

from facebench.harness.devices.emulator.instructions import KINDS, mix
from tests.harness.devices.emulator.assembly import assembled

ASSEMBLY = {
    "fma": """
        fmla v0.4s, v1.4s, v2.4s
        fmls v0.4s, v1.4s, v2.4s
        fmla v3.2s, v1.2s, v2.2s
        fmla v0.4s, v1.4s, v2.s[3]
        fmls v0.4s, v1.4s, v2.s[1]
        fmla v0.8h, v1.8h, v2.8h
        fmla v0.8h, v1.8h, v2.h[3]
        fmadd s0, s1, s2, s3
        fnmsub s0, s1, s2, s3
    """,
    "simd": """
        fadd v0.4s, v1.4s, v2.4s
        fmul v0.4s, v1.4s, v2.s[1]
        fmax v0.4s, v1.4s, v2.4s
        fcmge v0.4s, v1.4s, v2.4s
        bif v0.16b, v1.16b, v2.16b
        dup v0.4s, v1.s[0]
        movi v0.4s, #0
        zip1 v0.4s, v1.4s, v2.4s
        fadd s0, s1, s2
        fmov w0, s1
        eor v0.16b, v0.16b, v0.16b
    """,
    "load": """
        ldr q0, [x0]
        ldr q0, [x0, x1, lsl #4]
        ldr s0, [x0], #4
        ldr x0, [x1, #8]!
        ldrb w0, [x1]
        ldrsw x0, [x1]
        ldur q0, [x0, #-16]
        ldp q0, q1, [x0], #32
        ldp x29, x30, [sp]
        ldnp q0, q1, [x0]
        ld1 {v0.4s, v1.4s}, [x0], #32
        ld1r {v0.4s}, [x0]
        ld4 {v0.4s, v1.4s, v2.4s, v3.4s}, [x0]
        ldxr x0, [x1]
        ldar x0, [x1]
        prfm pldl1keep, [x0, #256]
    """,
    "store": """
        str q0, [x0]
        str q0, [x0, x1, lsl #4]
        str s0, [x0], #4
        str x0, [x1, #8]!
        strb w0, [x1]
        strh w0, [x1]
        stur q0, [x0, #-16]
        stp q0, q1, [x0], #32
        stp x29, x30, [sp, #-16]!
        stnp q0, q1, [x0]
        st1 {v0.4s, v1.4s}, [x0], #32
        st4 {v0.4s, v1.4s, v2.4s, v3.4s}, [x0]
        stxr w2, x0, [x1]
        stlr x0, [x1]
    """,
    "branch": """
        b .
        b.ne .
        cbz x0, .
        tbnz x0, #3, .
        bl .
        blr x1
        ret
    """,
    "integer": """
        add x0, x1, x2
        subs x0, x1, #1
        mul x0, x1, x2
        madd x0, x1, x2, x3
        csel x0, x1, x2, eq
        lsl x0, x1, #3
        adrp x0, .
        mov x0, #42
        ubfx x0, x1, #3, #4
    """,
    "nop": """
        nop
        yield
    """,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_told_by_its_bits(kind: str) -> None:
    lines = [line.strip() for line in ASSEMBLY[kind].splitlines() if line.strip()]
    code = assembled("\n".join(lines))
    found = [
        next(name for name, count in mix(code[at : at + 4], "EM_AARCH64").items() if count)
        for at in range(0, len(code), 4)
    ]
    assert dict(zip(lines, found, strict=True)) == dict.fromkeys(lines, kind)
    assert mix(code, "EM_AARCH64") == dict.fromkeys(KINDS, 0) | {kind: len(lines)}


def test_of_32_bit_code_only_the_number_is_told() -> None:
    assert mix(bytes(8), "EM_ARM") == {}
