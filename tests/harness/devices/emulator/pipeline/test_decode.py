"""Instructions are read as LLVM's assembler writes them: kind, registers, sizes."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.harness.devices.emulator.pipeline.decode import decode, operation
from facebench.harness.devices.emulator.pipeline.operations import FLAGS, VECTOR, Kind, Operation
from tests.harness.devices.emulator.assembly import assembled, words

# An instruction with letters for registers; its kind; what it reads; what it writes. `f`
# stands for the flags. Registers of an address that moves on are with `base` below.
READ = [
    ("fmla v{a}.4s, v{b}.4s, v{c}.4s", Kind.FMA, "vb vc va", "va"),
    ("fmls v{a}.2s, v{b}.2s, v{c}.2s", Kind.FMA, "vb vc va", "va"),
    ("fmla v{a}.4s, v{b}.4s, v{c}.s[2]", Kind.FMA, "vb vc va", "va"),
    ("fmla v{a}.8h, v{b}.8h, v{c}.8h", Kind.FMA, "vb vc va", "va"),
    ("fmls v{a}.4h, v{b}.4h, v{c}.4h", Kind.FMA, "vb vc va", "va"),
    ("fmla v{a}.8h, v{b}.8h, v{e}.h[5]", Kind.FMA, "vb ve va", "va"),
    ("fmlal v{a}.4s, v{b}.4h, v{c}.4h", Kind.FMA, "vb vc va", "va"),
    ("fmlal2 v{a}.4s, v{b}.4h, v{c}.4h", Kind.FMA, "vb vc va", "va"),
    ("fmlal v{a}.4s, v{b}.4h, v{e}.h[7]", Kind.FMA, "vb ve va", "va"),
    ("fmla s{a}, s{b}, v{c}.s[1]", Kind.FMA, "vb vc va", "va"),
    ("fmadd s{a}, s{b}, s{c}, s{d}", Kind.FMA, "vb vc vd", "va"),
    ("fnmsub d{a}, d{b}, d{c}, d{d}", Kind.FMA, "vb vc vd", "va"),
    ("mla v{a}.4s, v{b}.4s, v{c}.4s", Kind.FMA, "vb vc va", "va"),
    ("mls v{a}.8h, v{b}.8h, v{e}.h[1]", Kind.FMA, "vb ve va", "va"),
    ("smlal v{a}.4s, v{b}.4h, v{c}.4h", Kind.FMA, "vb vc va", "va"),
    ("smlal2 v{a}.4s, v{b}.8h, v{e}.h[3]", Kind.FMA, "vb ve va", "va"),
    ("sdot v{a}.4s, v{b}.16b, v{c}.16b", Kind.FMA, "vb vc va", "va"),
    ("udot v{a}.4s, v{b}.16b, v{c}.4b[1]", Kind.FMA, "vb vc va", "va"),
    ("fmul v{a}.4s, v{b}.4s, v{c}.4s", Kind.VECTOR, "vb vc", "va"),
    ("fmul v{a}.4s, v{b}.4s, v{c}.s[3]", Kind.VECTOR, "vb vc", "va"),
    ("fmul v{a}.8h, v{b}.8h, v{e}.h[3]", Kind.VECTOR, "vb ve", "va"),
    ("fmulx v{a}.4s, v{b}.4s, v{c}.s[0]", Kind.VECTOR, "vb vc", "va"),
    ("smull v{a}.4s, v{b}.4h, v{c}.4h", Kind.VECTOR, "vb vc", "va"),
    ("mul v{a}.4s, v{b}.4s, v{c}.s[1]", Kind.VECTOR, "vb vc", "va"),
    ("sqdmulh v{a}.4s, v{b}.4s, v{c}.s[1]", Kind.VECTOR, "vb vc", "va"),
    ("fadd v{a}.8h, v{b}.8h, v{c}.8h", Kind.VECTOR, "vb vc", "va"),
    ("fadd s{a}, s{b}, s{c}", Kind.VECTOR, "vb vc", "va"),
    ("fmax v{a}.4s, v{b}.4s, v{c}.4s", Kind.VECTOR, "vb vc", "va"),
    ("faddp v{a}.4s, v{b}.4s, v{c}.4s", Kind.VECTOR, "vb vc", "va"),
    ("faddp s{a}, v{b}.2s", Kind.VECTOR, "vb", "va"),
    ("fmaxnmv s{a}, v{b}.4s", Kind.VECTOR, "vb", "va"),
    ("addv s{a}, v{b}.4s", Kind.VECTOR, "vb", "va"),
    ("fcmgt v{a}.4s, v{b}.4s, v{c}.4s", Kind.VECTOR, "vb vc", "va"),
    ("fcmge v{a}.4s, v{b}.4s, #0.0", Kind.VECTOR, "vb", "va"),
    ("bsl v{a}.16b, v{b}.16b, v{c}.16b", Kind.VECTOR, "vb vc va", "va"),
    ("bif v{a}.16b, v{b}.16b, v{c}.16b", Kind.VECTOR, "vb vc va", "va"),
    ("eor v{a}.16b, v{b}.16b, v{c}.16b", Kind.VECTOR, "vb vc", "va"),
    ("orn v{a}.16b, v{b}.16b, v{c}.16b", Kind.VECTOR, "vb vc", "va"),
    ("mov v{a}.16b, v{b}.16b", Kind.VECTOR, "vb vb", "va"),
    ("saba v{a}.4s, v{b}.4s, v{c}.4s", Kind.VECTOR, "vb vc va", "va"),
    ("fdiv v{a}.4s, v{b}.4s, v{c}.4s", Kind.DIVIDE, "vb vc", "va"),
    ("fdiv v{a}.8h, v{b}.8h, v{c}.8h", Kind.DIVIDE, "vb vc", "va"),
    ("fdiv s{a}, s{b}, s{c}", Kind.DIVIDE, "vb vc", "va"),
    ("fsqrt v{a}.4s, v{b}.4s", Kind.DIVIDE, "vb", "va"),
    ("fsqrt s{a}, s{b}", Kind.DIVIDE, "vb", "va"),
    ("frecpe v{a}.4s, v{b}.4s", Kind.VECTOR, "vb", "va"),
    ("frecps v{a}.4s, v{b}.4s, v{c}.4s", Kind.VECTOR, "vb vc", "va"),
    ("fcvtn v{a}.4h, v{b}.4s", Kind.VECTOR, "vb", "va"),
    ("fcvtn2 v{a}.8h, v{b}.4s", Kind.VECTOR, "vb va", "va"),
    ("fcvtl v{a}.4s, v{b}.4h", Kind.VECTOR, "vb", "va"),
    ("xtn2 v{a}.8h, v{b}.4s", Kind.VECTOR, "vb va", "va"),
    ("sqxtn v{a}.8b, v{b}.8h", Kind.VECTOR, "vb", "va"),
    ("sadalp v{a}.4s, v{b}.8h", Kind.VECTOR, "vb va", "va"),
    ("addhn2 v{a}.8h, v{b}.4s, v{c}.4s", Kind.VECTOR, "vb vc va", "va"),
    ("scvtf v{a}.4s, v{b}.4s", Kind.VECTOR, "vb", "va"),
    ("fabs v{a}.8h, v{b}.8h", Kind.VECTOR, "vb", "va"),
    ("shl v{a}.4s, v{b}.4s, #3", Kind.VECTOR, "vb", "va"),
    ("ssra v{a}.4s, v{b}.4s, #3", Kind.VECTOR, "vb va", "va"),
    ("sli v{a}.4s, v{b}.4s, #3", Kind.VECTOR, "vb va", "va"),
    ("shrn v{a}.4h, v{b}.4s, #3", Kind.VECTOR, "vb", "va"),
    ("shrn2 v{a}.8h, v{b}.4s, #3", Kind.VECTOR, "vb va", "va"),
    ("sshll v{a}.4s, v{b}.4h, #0", Kind.VECTOR, "vb", "va"),
    ("movi v{a}.4s, #1", Kind.VECTOR, "", "va"),
    ("orr v{a}.4s, #1", Kind.VECTOR, "va", "va"),
    ("fmov v{a}.4s, #1.0", Kind.VECTOR, "", "va"),
    ("fmov s{a}, #1.0", Kind.VECTOR, "", "va"),
    ("fmov s{a}, s{b}", Kind.VECTOR, "vb", "va"),
    ("fmov w{a}, s{b}", Kind.VECTOR, "vb", "xa"),
    ("fmov d{a}, x{b}", Kind.VECTOR, "xb", "va"),
    ("fmov v{a}.d[1], x{b}", Kind.VECTOR, "xb va", "va"),
    ("fcvtzs w{a}, s{b}", Kind.VECTOR, "vb", "xa"),
    ("scvtf s{a}, w{b}", Kind.VECTOR, "xb", "va"),
    ("fcmp s{a}, s{b}", Kind.VECTOR, "va vb", "f"),
    ("fcmp s{a}, #0.0", Kind.VECTOR, "va", "f"),
    ("fcsel s{a}, s{b}, s{c}, gt", Kind.VECTOR, "vb vc f", "va"),
    ("dup v{a}.4s, v{b}.s[1]", Kind.VECTOR, "vb", "va"),
    ("dup v{a}.4s, w{b}", Kind.VECTOR, "xb", "va"),
    ("mov v{a}.s[1], v{b}.s[0]", Kind.VECTOR, "vb va", "va"),
    ("mov v{a}.d[1], x{b}", Kind.INSERT, "xb va", "va"),
    ("umov w{a}, v{b}.s[1]", Kind.VECTOR, "vb", "xa"),
    ("zip1 v{a}.4s, v{b}.4s, v{c}.4s", Kind.VECTOR, "vb vc", "va"),
    ("trn2 v{a}.8h, v{b}.8h, v{c}.8h", Kind.VECTOR, "vb vc", "va"),
    ("ext v{a}.16b, v{b}.16b, v{c}.16b, #4", Kind.VECTOR, "vb vc", "va"),
    ("tbl v{a}.16b, {{v{b}.16b}}, v{c}.16b", Kind.VECTOR, "vb vc", "va"),
    ("tbx v{a}.16b, {{v{b}.16b}}, v{c}.16b", Kind.VECTOR, "vb vc va", "va"),
    ("ldr q{a}, [x{b}]", Kind.VECTOR_LOAD, "xb", "va"),
    ("ldr d{a}, [x{b}, x{c}, lsl #3]", Kind.VECTOR_LOAD, "xb xc", "va"),
    ("ldur s{a}, [x{b}, #-4]", Kind.VECTOR_LOAD, "xb", "va"),
    ("ldp q{a}, q{b}, [x{c}, #32]", Kind.VECTOR_LOAD, "xc", "va vb"),
    ("ldnp s{a}, s{b}, [x{c}]", Kind.VECTOR_LOAD, "xc", "va vb"),
    ("ld1r {{v{a}.4s}}, [x{b}]", Kind.VECTOR_LOAD, "xb", "va"),
    ("ld1 {{v{a}.s}}[1], [x{b}]", Kind.VECTOR_LOAD, "xb va", "va"),
    ("ldr x{a}, [x{b}, #8]", Kind.LOAD, "xb", "xa"),
    ("ldrb w{a}, [x{b}, x{c}]", Kind.LOAD, "xb xc", "xa"),
    ("ldrsw x{a}, [x{b}]", Kind.LOAD, "xb", "xa"),
    ("ldp x{a}, x{b}, [x{c}]", Kind.LOAD, "xc", "xa xb"),
    ("ldxr x{a}, [x{b}]", Kind.LOAD, "xb", "xa"),
    ("ldar w{a}, [x{b}]", Kind.LOAD, "xb", "xa"),
    ("ldadd x{a}, x{b}, [x{c}]", Kind.LOAD, "xc xa", "xb"),
    ("prfm pldl1keep, [x{b}, #256]", Kind.PREFETCH, "xb", ""),
    ("str q{a}, [x{b}]", Kind.VECTOR_STORE, "xb va", ""),
    ("stp q{a}, q{b}, [x{c}]", Kind.VECTOR_STORE, "xc va vb", ""),
    ("st1 {{v{a}.4s}}, [x{b}]", Kind.VECTOR_STORE, "xb va", ""),
    ("st1 {{v{a}.s}}[2], [x{b}]", Kind.VECTOR_STORE, "xb va", ""),
    ("str w{a}, [x{b}, x{c}]", Kind.STORE, "xb xc xa", ""),
    ("stp x{a}, x{b}, [x{c}]", Kind.STORE, "xc xa xb", ""),
    ("stlr x{a}, [x{b}]", Kind.STORE, "xb xa", ""),
    ("stxr w{a}, x{b}, [x{c}]", Kind.STORE, "xc xb", "xa"),
    ("add x{a}, x{b}, x{c}", Kind.INTEGER, "xb xc", "xa"),
    ("add x{a}, x{b}, #4", Kind.INTEGER, "xb", "xa"),
    ("add x{a}, x{b}, w{c}, sxtw #2", Kind.INTEGER, "xb xc", "xa"),
    ("subs w{a}, w{b}, #1", Kind.INTEGER, "xb", "xa f"),
    ("cmp x{a}, x{b}", Kind.INTEGER, "xa xb", "f"),
    ("adc x{a}, x{b}, x{c}", Kind.INTEGER, "xb xc f", "xa"),
    ("ands x{a}, x{b}, #7", Kind.INTEGER, "xb", "xa f"),
    ("tst x{a}, x{b}", Kind.INTEGER, "xa xb", "f"),
    ("and x{a}, x{b}, x{c}", Kind.INTEGER, "xb xc", "xa"),
    ("mov x{a}, x{b}", Kind.INTEGER, "xb", "xa"),
    ("mov x{a}, #42", Kind.INTEGER, "", "xa"),
    ("movk x{a}, #42, lsl #16", Kind.INTEGER, "xa", "xa"),
    ("bfi x{a}, x{b}, #3, #4", Kind.INTEGER, "xb xa", "xa"),
    ("ubfx x{a}, x{b}, #3, #4", Kind.INTEGER, "xb", "xa"),
    ("ror x{a}, x{b}, #3", Kind.INTEGER, "xb xb", "xa"),
    ("lsl x{a}, x{b}, x{c}", Kind.INTEGER, "xb xc", "xa"),
    ("sdiv w{a}, w{b}, w{c}", Kind.INTEGER, "xb xc", "xa"),
    ("clz x{a}, x{b}", Kind.INTEGER, "xb", "xa"),
    ("csel x{a}, x{b}, x{c}, eq", Kind.INTEGER, "xb xc f", "xa"),
    ("ccmp x{a}, x{b}, #0, eq", Kind.INTEGER, "xa xb f", "f"),
    ("ccmp x{a}, #3, #0, eq", Kind.INTEGER, "xa f", "f"),
    ("adr x{a}, .", Kind.INTEGER, "", "xa"),
    ("mrs x{a}, fpcr", Kind.INTEGER, "", "xa"),
    ("msr fpcr, x{a}", Kind.INTEGER, "xa", ""),
    ("madd x{a}, x{b}, x{c}, x{d}", Kind.MULTIPLY, "xb xc xd", "xa"),
    ("mul w{a}, w{b}, w{c}", Kind.MULTIPLY, "xb xc", "xa"),
    ("smull x{a}, w{b}, w{c}", Kind.MULTIPLY, "xb xc", "xa"),
    ("b .", Kind.BRANCH, "", ""),
    ("b.ne .", Kind.BRANCH, "f", ""),
    ("cbz x{a}, .", Kind.BRANCH, "xa", ""),
    ("tbnz w{a}, #3, .", Kind.BRANCH, "xa", ""),
    ("br x{a}", Kind.BRANCH, "xa", ""),
    ("nop", Kind.NOP, "", ""),
]

# Registers go by these letters; `e` is one of the lower sixteen, for elements of 16 bits.
_DRAWS = 3


def drawn(seed: int) -> dict[str, int]:
    draw = random.Random(seed)
    return dict(zip("abcd", draw.sample(range(16, 30), 4), strict=True)) | {"e": draw.randrange(16)}


def named(names: str, letters: dict[str, int]) -> list[int]:
    """Numbers of registers, such as `vb xc f`."""
    number = {"x": 0, "v": VECTOR}
    return [FLAGS if name == "f" else number[name[0]] + letters[name[1]] for name in names.split()]


def read_by(found: Operation) -> list[int]:
    added = [] if found.accumulator is None else [found.accumulator]
    return [*found.reads, *added]


def test_what_the_assembler_writes_is_read_kind_and_registers() -> None:
    draws = [(entry, drawn(7 * seed + i)) for i, entry in enumerate(READ) for seed in range(_DRAWS)]
    lines = [text.format(**letters) for (text, *_), letters in draws]
    operations = decode(assembled("\n".join(lines)))
    assert len(operations) == len(lines)
    wrong = [
        (line, found)
        for ((_, kind, reads, writes), letters), line, found in zip(
            draws, lines, operations, strict=True
        )
        if found.kind is not kind
        or sorted(read_by(found)) != sorted(named(reads, letters))
        or sorted(found.writes) != sorted(named(writes, letters))
    ]
    assert not wrong


TRANSFERS = [
    ("ldr q0, [x0]", 16, 1),
    ("ldr d0, [x0]", 8, 1),
    ("ldr s0, [x0]", 4, 1),
    ("ldp q0, q1, [x0]", 16, 2),
    ("ldp x0, x1, [x2]", 16, 1),
    ("ld1 {v0.4s-v3.4s}, [x0]", 16, 4),
    ("ld1 {v0.4s, v1.4s, v2.4s}, [x0]", 16, 3),
    ("ld1 {v0.2s, v1.2s}, [x0]", 8, 2),
    ("ld2 {v0.4s, v1.4s}, [x0]", 16, 2),
    ("ld3 {v0.4s, v1.4s, v2.4s}, [x0]", 16, 3),
    ("ld4 {v0.4s-v3.4s}, [x0]", 16, 4),
    ("ld2r {v0.4s, v1.4s}, [x0]", 16, 2),
    ("ld4 {v0.s-v3.s}[1], [x0]", 4, 4),
    ("st1 {v0.8h-v3.8h}, [x0]", 16, 4),
    ("stp s0, s1, [x0]", 4, 2),
    ("fadd v0.2s, v1.2s, v2.2s", 8, 1),
    ("fmla v0.4s, v1.4s, v2.4s", 16, 1),
    ("fmadd s0, s1, s2, s3", 8, 1),
    ("strh w0, [x1]", 2, 1),
]

BASES = [
    ("ldr q0, [x3], #16", 3),
    ("ldr q0, [x3, #16]!", 3),
    ("ldr q0, [x3, #16]", None),
    ("ldp q0, q1, [x3], #32", 3),
    ("ld1 {v0.4s, v1.4s}, [x3], #32", 3),
    ("ld1 {v0.4s, v1.4s}, [x3], x4", 3),
    ("ld1r {v0.4s}, [x3], #4", 3),
    ("str w0, [x3], #4", 3),
    ("stp x29, x30, [sp, #-16]!", None),
]

OTHERS = [
    "ld1 {v0.4s}, [x3], x4",
    "fmla v5.4s, v6.4s, v7.4s",
    "fmadd s5, s6, s7, s8",
    "fmul v5.4s, v6.4s, v7.4s",
]


def one(text: str) -> Operation:
    lines = [text for text, *_ in TRANSFERS] + [text for text, _ in BASES] + OTHERS
    (found,) = decode(words(*lines)[text])
    return found


@pytest.mark.parametrize(("text", "size", "transfers"), TRANSFERS)
def test_every_register_of_a_transfer_counts(text: str, size: int, transfers: int) -> None:
    found = one(text)
    assert (found.size, found.transfers) == (size, transfers)


@pytest.mark.parametrize(("text", "base"), BASES)
def test_an_address_that_moves_on_is_told_apart(text: str, base: int | None) -> None:
    assert one(text).base == base


def test_a_step_in_a_register_is_waited_for() -> None:
    assert 4 in one("ld1 {v0.4s}, [x3], x4").reads


def test_a_sum_is_an_accumulator_and_a_factor_is_none() -> None:
    assert one("fmla v5.4s, v6.4s, v7.4s").accumulator == VECTOR + 5
    assert one("fmadd s5, s6, s7, s8").accumulator == VECTOR + 8
    assert one("fmul v5.4s, v6.4s, v7.4s").accumulator is None


@given(st.integers(0, 2**32 - 1))
def test_any_word_is_some_operation(word: int) -> None:
    found = operation(word)
    registers = {*range(31), *range(VECTOR, VECTOR + 32), FLAGS}
    assert registers >= {*read_by(found), *found.writes}
    assert found.base is None or found.base in found.reads
    assert found.transfers >= 1
    assert found.size >= 1
