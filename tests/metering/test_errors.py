"""The tree of errors: codes are stable and no two classes share one."""

import pytest

from metering import errors
from metering.errors import Fault, Invalid, TaximeterError


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [each.default_code for each in TaximeterError.__subclasses__()]
    assert len(codes) == len(set(codes))
    assert "error" not in codes


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Invalid", "invalid"),
        ("NotFound", "not_found"),
        ("Conflict", "conflict"),
        ("Forbidden", "forbidden"),
        ("TooLarge", "too_large"),
        ("Unavailable", "retry"),
        ("Unreadable", "unreadable"),
    ],
)
def test_the_codes_of_the_contract_stay(name: str, code: str) -> None:
    assert getattr(errors, name)("why").code == code


def test_an_error_carries_its_code_its_sentence_and_every_fault() -> None:
    error = Invalid("two things are wrong", "plan_invalid", [Fault("/a", "one"), Fault("/b", "two")])
    assert (error.code, error.detail, str(error)) == ("plan_invalid", "two things are wrong", "two things are wrong")
    assert error.faults == (Fault("/a", "one"), Fault("/b", "two"))
    assert isinstance(error, ValueError), "pydantic collects nothing else"
