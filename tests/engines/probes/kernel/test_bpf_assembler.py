"""Instructions to bytes, against encodings written out by hand from the instruction set's definition."""

from __future__ import annotations

import pytest

from leaktui.engines.probes.kernel.bpf_assembler import Assembler, Condition, Reg


def test_each_instruction_has_its_encoding() -> None:
    code = Assembler()
    code.move(Reg.R6, Reg.R1)
    code.set(Reg.R2, -1)
    code.add(Reg.R1, -16)
    code.load(Reg.R3, Reg.R6, 80)
    code.load(Reg.R3, Reg.R6, -2, width=2)
    code.store(Reg.FP, -8, Reg.R3)
    code.store(Reg.R8, 4, Reg.R0, width=4)
    code.store_value(Reg.R8, 16, 7, width=1)
    code.atomic_add(Reg.R7, 24, Reg.R1)
    code.call(131)
    code.exit()
    assert code.assemble().hex(" ", 8) == (
        "bf16000000000000 b7020000ffffffff 07010000f0ffffff 7963500000000000 6963feff00000000 7b3af8ff00000000"
        " 6308040000000000 7208100007000000 db17180000000000 8500000083000000 9500000000000000"
    )


@pytest.mark.parametrize(
    ("value", "encoding"),
    [
        ((1 << 31) - 1, "b7010000ffffff7f"),
        (-(1 << 31), "b701000000000080"),
        (1 << 31, "1801000000000080 0000000000000000"),
        ((1 << 64) - 1, "18010000ffffffff 00000000ffffffff"),
        (0x1122334455667788, "1801000088776655 0000000044332211"),
    ],
)
def test_a_constant_takes_two_slots_only_where_it_must(value: int, encoding: str) -> None:
    code = Assembler()
    code.set(Reg.R1, value)
    assert code.assemble().hex(" ", 8) == encoding


def test_maps_are_named_by_descriptor() -> None:
    code = Assembler()
    code.set_map(Reg.R1, 5)
    code.set_map_value(Reg.R7, 6)
    assert code.assemble().hex(" ", 8) == (
        "1811000005000000 0000000000000000 1827000006000000 0000000000000000"
    )


def test_jumps_are_counted_in_instructions_from_the_next_one() -> None:
    code = Assembler()
    code.label("again")
    code.jump_if(Reg.R1, Condition.BELOW, Reg.R2, "end")
    code.set(Reg.R0, 1 << 40)  # two slots to jump over
    code.jump_if(Reg.R1, Condition.NOT_EQUAL, -1, "again")
    code.jump("again")
    code.label("end")
    code.exit()
    assert code.assemble().hex(" ", 8) == (
        "ad21040000000000 1800000000000000 0000000000010000 5501fcffffffffff 0500fbff00000000 9500000000000000"
    )


@pytest.mark.parametrize(
    ("condition", "opcode"),
    [
        (Condition.EQUAL, 0x15),
        (Condition.ABOVE_OR_EQUAL, 0x35),
        (Condition.NOT_EQUAL, 0x55),
        (Condition.BELOW, 0xA5),
        (Condition.BELOW_OR_EQUAL, 0xB5),
    ],
)
def test_conditions(condition: Condition, opcode: int) -> None:
    code = Assembler()
    code.jump_if(Reg.R1, condition, 3, "here")
    code.jump_if(Reg.R1, condition, Reg.R3, "here")
    code.label("here")
    constant, register = code.assemble()[:8], code.assemble()[8:]
    assert (constant[0], register[0]) == (opcode, opcode | 8)


def test_what_has_no_encoding_is_refused() -> None:
    with pytest.raises(ValueError, match="no label nowhere"):
        code = Assembler()
        code.jump("nowhere")
        code.assemble()
    with pytest.raises(ValueError, match="there already"):
        code = Assembler()
        code.label("twice")
        code.label("twice")
    with pytest.raises(ValueError, match="does not fit"):
        code = Assembler()
        code.load(Reg.R1, Reg.R6, 1 << 15)
        code.assemble()
    with pytest.raises(ValueError, match="does not fit"):
        code = Assembler()
        code.add(Reg.R1, 1 << 31)
        code.assemble()
