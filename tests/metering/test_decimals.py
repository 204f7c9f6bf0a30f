"""Numbers: what is read, what is refused, and that nothing is ever lost. Law 5.1."""

import re
from decimal import Decimal, Inexact
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.decimals import EXACT, JsonNumber, decimal_of, text
from metering.errors import Invalid
from tests.metering.strategies import exact

NINES = "9" * 30


@pytest.mark.parametrize(
    ("sent", "means"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("-0.000", "0"),
        ("0e5", "0"),
        ("1.50", "1.5"),
        ("-1.25", "-1.25"),
        ("007", "7"),
        ("1e3", "1000"),
        ("1E+3", "1000"),
        ("1.5e-3", "0.0015"),
        ("1e29", "1" + "0" * 29),
        ("1e-30", "0." + "0" * 29 + "1"),
        (NINES, NINES),
        (f"-{NINES}.{NINES}", f"-{NINES}.{NINES}"),
        ("1." + "0" * 100, "1"),
        (12, "12"),
        (-3, "-3"),
        (123_456_789_012_345, "123456789012345"),
        (10**29, "1" + "0" * 29),
        (JsonNumber("0.1"), "0.1"),
        (JsonNumber("0.000000123456789012345"), "0.000000123456789012345"),
        (JsonNumber("1.50000000000000000000"), "1.5"),
        (JsonNumber("1e20"), "100000000000000000000"),
        (Decimal("2.50"), "2.5"),
    ],
)
def test_a_number_of_the_grammar_is_read_to_its_last_digit(sent: object, means: str) -> None:
    read = decimal_of(sent)
    assert (read, text(read)) == (Decimal(means), means)


@pytest.mark.parametrize(
    "sent",
    [
        *(
            "",
            " ",
            " 1",
            "1 ",
            "\n1",
            "1\n",
            "+1",
            ".5",
            "1.",
            "-",
            "--1",
            "1e",
            "1e1.5",
            "1,5",
            "1_000",
            "0x1",
            "1 000",
        ),
        *("NaN", "sNaN", "Infinity", "-Infinity", "inf", "١٢", "\uff11", "½", "1\x00", "one"),
        *("1e30", "-1e30", "1e-31", "9" * 31, "0." + "0" * 30 + "1", "1" * 5_000, "1e999999999999", "1e-999999999999"),
        *(True, False, None, 1.5, [], {}, b"1", ["1"], 1j),
        *(10**30, -(10**30), 1_234_567_890_123_456, -1_234_567_890_123_456),
        *(JsonNumber("1234567890.123456"), JsonNumber("0.1234567890123456"), JsonNumber("1e400")),
        *(Decimal("NaN"), Decimal("-Infinity"), Decimal("1e30"), Decimal("1e-31")),
        pytest.param(10**5_000, id="an integer that Python refuses to write"),
    ],
)
def test_what_is_no_number_of_the_grammar_is_refused(sent: object) -> None:
    with pytest.raises(Invalid):
        decimal_of(sent)


@given(exact)
def test_what_is_written_is_read_back_the_same(value: Decimal) -> None:
    assert decimal_of(text(value)) == value


@given(exact, st.integers(0, 20))
def test_a_value_is_written_one_way_however_it_was_built(value: Decimal, zeros: int) -> None:
    padded = Decimal(f"{value:f}" + ("" if "." in f"{value:f}" else ".") + "0" * zeros)
    assert text(padded) == text(value) == text(Fraction(value))
    assert re.fullmatch(r"-?(0|[1-9]\d*)(\.\d*[1-9])?", text(value))
    assert text(value) != "-0"


@given(st.text(alphabet="0123456789.eE+- ", max_size=12))
def test_the_grammar_and_the_thirty_digits_alone_decide_what_is_read(sent: str) -> None:
    if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", sent):
        plain = Decimal(sent).normalize()
        exponent = plain.as_tuple().exponent
        assert isinstance(exponent, int)
        if plain.adjusted() < 30 and exponent >= -30:
            assert decimal_of(sent) == plain
            return
        if not plain:
            return  # zero has no digits, however many its exponent asks for: read or refused, never wrong
    with pytest.raises(Invalid):
        decimal_of(sent)


@given(st.fractions())
def test_a_fraction_is_shown_exactly_or_with_thirty_decimals_cut_half_away_from_zero(value: Fraction) -> None:
    shown = text(value)
    off = abs(Fraction(shown)) - abs(value)
    assert off == 0 or len(shown.partition(".")[2]) <= 30
    assert -Fraction(1, 2 * 10**30) < off <= Fraction(1, 2 * 10**30)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Fraction(1, 3), "0." + "3" * 30),
        (Fraction(-2, 3), "-0." + "6" * 29 + "7"),
        (Fraction(1, 3 * 10**40), "0"),
        (Fraction(-1, 3 * 10**40), "0"),
        (Fraction(1, 2**40), f"{Decimal(1) / Decimal(2**40):f}"),
        (Fraction(5), "5"),
        (5, "5"),
        (0, "0"),
    ],
)
def test_fractions_by_example(value: Fraction | int, shown: str) -> None:
    assert text(value) == shown


def test_the_exact_context_raises_where_a_digit_would_be_lost() -> None:
    with pytest.raises(Inexact):
        EXACT.divide(Decimal(1), Decimal(3))
