import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaktui.errors import DecodeError
from leaktui.wire.trace.varint import decode_varint, decode_varints
from tests.wire.trace_bytes import varint, varints

numbers = st.integers(0, (1 << 64) - 1)


@given(st.lists(numbers))
def test_decodes_what_was_encoded(values: list[int]) -> None:
    assert decode_varints(varints(*values)) == values


@given(numbers, st.binary(max_size=4))
def test_one_at_a_time_agrees_with_all_at_once(value: int, rest: bytes) -> None:
    data = varint(value)
    assert decode_varint(data + rest, 0) == (value, len(data))


def test_a_number_cut_off() -> None:
    with pytest.raises(DecodeError, match="ends within a number"):
        decode_varints(b"\x01\x80")
    with pytest.raises(IndexError):
        decode_varint(b"\x80\x80", 0)


@pytest.mark.parametrize("data", [b"\x80" * 10 + b"\x01", b"\xff" * 400 + b"\x00"])
def test_a_number_too_long(data: bytes) -> None:
    with pytest.raises(DecodeError, match="64 bits"):
        decode_varints(data)
    with pytest.raises(DecodeError, match="64 bits"):
        decode_varint(data, 0)


def test_more_than_64_bits_in_ten_bytes_are_cut() -> None:
    assert decode_varints(b"\xff" * 9 + b"\x7f") == [(1 << 64) - 1]
