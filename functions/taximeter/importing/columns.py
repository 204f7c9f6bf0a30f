"""From the columns of a file to the fields of an event."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from math import isnan
from typing import TypeVar

from metering.bodies import EventBody, loads
from metering.decimals import JsonNumber
from metering.errors import Invalid
from taximeter.importing.sources import MOST_BYTES_OF_A_LINE, Damaged, Record

Value = TypeVar("Value")

_FIELDS = tuple(name for name in EventBody.__annotations__ if name != "dimensions")
_NAMES = ("id", "customer", "meter")
_DIMENSION = "dimensions."
_NO_OFFSET = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?", re.ASCII)
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column each field comes from, and what is the same in every row.

    A field that neither names comes from the column of its own name (`dimensions.region` for a dimension), if there is
    one; other columns are not looked at.

    Attributes:
        columns: the column of each field.
        constants: the value of each field that no column holds.
        utc: whether times without an offset are UTC.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    utc: bool = False

    @classmethod
    def of(cls, mapped: Iterable[str], constant: Iterable[str], *, utc: bool = False) -> "Columns":
        """Read `field=column` and `field=value`, as they are given on the command line.

        Raises:
            ValueError: one is not of this form, or a field is given twice.
        """
        columns, constants = _pairs(mapped), _pairs(constant)
        twice = columns.keys() & constants.keys()
        if twice:
            raise ValueError(f"both mapped and set: {', '.join(sorted(twice))}")
        return cls(columns, constants, utc)

    @property
    def nothing(self) -> bool:
        """Whether what is an event already stays as it is."""
        return not (self.columns or self.constants or self.utc)

    def check(self, names: Iterable[str]) -> None:
        """See that every column that is mapped is there.

        Raises:
            ValueError: one is not.
        """
        missing = set(self.columns.values()) - set(names)
        if missing:
            raise ValueError(f"the file has no column {', '.join(sorted(missing))}")

    def line(self, record: Record) -> bytes | Damaged:
        """An event as a line of JSON, without the line's end."""
        if isinstance(record, Damaged):
            return record
        if isinstance(record, bytes):
            return self._line_of_json(record)
        event = self.event(record)
        # A column of whole numbers may hold names, whose text is meant; in JSON a name is a string or refused.
        names = {name: str(event[name]) for name in _NAMES if type(event.get(name)) is int}
        return _written(event | names)

    def _line_of_json(self, line: bytes) -> bytes | Damaged:
        if self.nothing:
            # Between the tokens of a line a carriage return is a space, but it would end the line where it arrives.
            return line.replace(b"\r", b" ")
        try:
            loaded = loads(line)
            return _written(self.event(loaded)) if isinstance(loaded, dict) else Damaged(shown(line), "no JSON object")
        except Invalid as fault:
            return Damaged(shown(line), fault.detail)
        except RecursionError:
            return Damaged(shown(line), "nested too deeply")

    def event(self, row: Mapping[str, object]) -> dict[str, object]:
        """The native event of a row; what has no value is left out."""
        written: dict[str, object] = {name: self._field(name, row) for name in _FIELDS}
        written["dimensions"] = self._dimensions(row)
        return {name: value for name, value in written.items() if value is not None}

    def _field(self, name: str, row: Mapping[str, object]) -> object:
        value: object = self.constants.get(name)
        if value is None:
            value = _plain(row.get(self.columns.get(name, name)))
        if not isinstance(value, str) or isinstance(value, JsonNumber):
            return value
        if name == "timestamp":
            if self.utc and _NO_OFFSET.fullmatch(value):
                return f"{value}Z"
            return int(value) if value.isascii() and value.isdigit() and len(value) < 16 else value
        if name == "revision":
            return int(value) if value.isascii() and value.isdigit() and len(value) < 17 else value
        return _BOOLEANS.get(value.lower(), value) if name == "void" else value

    def _dimensions(self, row: Mapping[str, object]) -> object:
        given = row.get("dimensions")
        if isinstance(given, list) and all(isinstance(pair, tuple) for pair in given):
            given = dict(given)  # a map of Parquet
        if not isinstance(given, dict | None):
            return given  # no dimensions: where it arrives it is refused
        found: dict[str, object] = {
            **(given or {}),
            **_dimensions_of(row),
            **{name: row.get(column) for name, column in _dimensions_of(self.columns).items()},
            **_dimensions_of(self.constants),
        }
        plain = {name: _plain(value) for name, value in found.items() if value is not None}
        return {name: _text(value) for name, value in plain.items()} or None


def _dimensions_of(fields: Mapping[str, Value]) -> dict[str, Value]:
    return {name.removeprefix(_DIMENSION): value for name, value in fields.items() if name.startswith(_DIMENSION)}


def _text(value: object) -> object:
    """The text of a truth or a whole number; what else is there stays."""
    return json.dumps(value) if isinstance(value, bool) else str(value) if isinstance(value, int) else value


def _written(event: Mapping[str, object]) -> bytes | Damaged:
    """An event as JSON, whose numbers have the digits that they had: which of them are taken is for the API to say."""
    others = {name: value for name, value in event.items() if not isinstance(value, JsonNumber)}
    parts = [json.dumps(others, separators=(",", ":"), default=str)[1:-1]]
    parts += (f'"{name}":{value}' for name, value in event.items() if isinstance(value, JsonNumber))
    line = f"{{{','.join(filter(None, parts))}}}".encode()
    return line if len(line) <= MOST_BYTES_OF_A_LINE else Damaged(shown(line), "the row is longer than 1 MB")


def _pairs(written: Iterable[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for each in written:
        name, equals, value = each.partition("=")
        if not equals or not value:
            raise ValueError(f"{each}: must be FIELD=…")
        if name not in _FIELDS and not (name.startswith(_DIMENSION) and name != _DIMENSION):
            raise ValueError(f"{each}: fields are {', '.join(_FIELDS)} and dimensions.NAME")
        if name in pairs:
            raise ValueError(f"{name} is given twice")
        pairs[name] = value
    return pairs


def _plain(value: object) -> object:
    """A value of a column as JSON can say it; not a number is nothing, as libraries of data frames mean it."""
    match value:
        case float():
            return None if isnan(value) else value
        case Decimal():
            return f"{value:f}"
        case datetime():
            aware = value.tzinfo is not None
            return f"{(value.astimezone(UTC) if aware else value).replace(tzinfo=None).isoformat()}{'Z' * aware}"
        case date():
            return value.isoformat()
        case bytes():
            return value.decode(errors="replace")
        case _:
            return value


def shown(line: bytes) -> str:
    """What was sent, as a person can read it."""
    return line[:10_000].decode(errors="replace").strip()
