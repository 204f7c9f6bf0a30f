"""Rows of tables of cases: the quick suite has a few of each, and the deep one has the others."""

from collections.abc import Iterable
from typing import Any

import pytest


def deep(*values: Any) -> Any:
    """A row that the deep suite has and the quick one has not."""
    return pytest.param(*values, marks=pytest.mark.deep)


def quick_of(rows: Iterable[Any], *quick: Any) -> list[Any]:
    """All these rows of one value each, of which the quick suite has `quick` alone; those must be among them."""
    table = list(rows)
    assert all(each in table for each in quick), "a row of the quick suite is none of the table"
    return [row if row in quick else deep(row) for row in table]
