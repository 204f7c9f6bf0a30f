"""Files become rows, one by one: what is damaged is told alone, and nothing is held but a few rows."""

import gzip
import tracemalloc
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from taximeter.importing.sources import MOST_BYTES_OF_A_LINE, Damaged, Record, Source, form_of


def read(path: Path, content: bytes, **more: Any) -> list[Record]:
    path.write_bytes(content)
    source = Source(path, **more)
    try:
        return list(source.records)
    finally:
        source.close()


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.ndjson", "ndjson"),
        ("a.jsonl", "ndjson"),
        ("a.JSON", "ndjson"),
        ("a.b.csv", "csv"),
        ("a.tsv.gz", "csv"),
        ("a.ndjson.GZ", "ndjson"),
        ("a.parquet", "parquet"),
    ],
)
def test_a_name_tells_what_is_in_a_file(name: str, form: str) -> None:
    assert form_of(Path(name)) == form


@pytest.mark.parametrize("name", ["events", "events.gz", "events.xlsx", ".csv"])
def test_a_name_that_tells_nothing_asks_for_the_format(name: str) -> None:
    with pytest.raises(ValueError, match="--format"):
        form_of(Path(name))


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_lines_of_json_are_as_they_were_written(tmp_path: Path, pack: Any) -> None:
    content = b'\xef\xbb\xbf{"a": 1.50}\r\n\n  {broken\t\n\xff\n{"b":2}'
    expected = [b'{"a": 1.50}', b"{broken", b"\xff", b'{"b":2}']
    # That it is packed is seen in the file, not in its name.
    assert read(tmp_path / "a.ndjson", pack(content)) == expected


def test_a_line_that_is_far_too_long_is_told_alone(tmp_path: Path) -> None:
    content = b"1\n" + b"x" * 3 * MOST_BYTES_OF_A_LINE + b"\n2\n" + b"y" * (MOST_BYTES_OF_A_LINE + 1)
    rows = read(tmp_path / "a.ndjson", content)
    assert [row if isinstance(row, bytes) else "damaged" for row in rows] == [b"1", "damaged", b"2", "damaged"]


def test_a_json_array_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one event a line"):
        read(tmp_path / "a.json", b'\n [{"a": 1}]')


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"a,b\n1,2\n", [{"a": "1", "b": "2"}]),
        (b"\xef\xbb\xbfa,b\r\n1,\r\n\r\n,2", [{"a": "1", "b": None}, {"a": None, "b": "2"}]),
        (b'a,b\n"x\ny","q""q"\n', [{"a": "x\ny", "b": 'q"q'}]),
        (b"a,b\n1\n", [{"a": "1"}]),
        (b"a,b\n1,2,3\n4,5\n", [Damaged("1,2,3", "has more cells than the header"), {"a": "4", "b": "5"}]),
        (b"a,b\n", []),
        (b"", []),
    ],
)
def test_cells_are_known_by_the_header(tmp_path: Path, content: bytes, rows: list[Record]) -> None:
    assert read(tmp_path / "a.csv", content) == rows


def test_cells_may_be_parted_by_other_marks(tmp_path: Path) -> None:
    expected = [{"a": "1,5", "b": "2"}]
    assert read(tmp_path / "a.tsv.gz", gzip.compress(b"a\tb\n1,5\t2\n")) == expected
    assert read(tmp_path / "a.csv", b"a;b\n1,5;2\n", delimiter=";") == expected


@pytest.mark.parametrize("broken", [b"\xff,1", b'"a"b,1', b"x" * 200_000 + b",1", b"x" * 2 * MOST_BYTES_OF_A_LINE])
def test_a_row_that_cannot_be_read_is_told_alone(tmp_path: Path, broken: bytes) -> None:
    rows = read(tmp_path / "a.csv", b"a,b\n1,2\n" + broken + b"\n3,4\n")
    assert [rows[0], rows[2]] == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert isinstance(rows[1], Damaged)


@pytest.mark.parametrize(("content", "says"), [(b"a,a\n", "same name"), (b"\xff,b\n", "header")])
def test_a_header_that_means_nothing_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read(tmp_path / "a.csv", content)


def test_parquet_is_read_in_its_own_types(tmp_path: Path) -> None:
    write_parquet(
        tmp_path / "a.parquet",
        {"at": [datetime(2026, 11, 20, 16, tzinfo=UTC), None], "n": [Decimal("1.50"), None], "s": ["x", "y"]},
    )
    source = Source(tmp_path / "a.parquet")
    assert source.columns == ("at", "n", "s")
    assert list(source.records) == [
        {"at": datetime(2026, 11, 20, 16, tzinfo=UTC), "n": Decimal("1.50"), "s": "x"},
        {"at": None, "n": None, "s": "y"},
    ]
    source.close()


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Parquet"):
        read(tmp_path / "a.parquet", b"nothing of the kind")


def test_what_is_damaged_inside_parquet_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_parquet(path, {"s": ["some text", "more text"] * 5_000})
    content = bytearray(path.read_bytes())
    content[4 : len(content) // 2] = b"\xff" * (len(content) // 2 - 4)
    with pytest.raises(ValueError, match="Parquet"):
        read(path, bytes(content))


def write_parquet(path: Path, columns: dict[str, list[Any]]) -> None:
    """Write a Parquet file; the columns' types are those of their first values."""
    from arro3.core import Array, DataType, Table
    from arro3.io import write_parquet as write

    def array(values: list[Any]) -> Any:
        match values[0]:
            case datetime():
                milliseconds = [each and round(each.timestamp() * 1000) for each in values]
                return Array(milliseconds, DataType.int64()).cast(DataType.timestamp("ms", tz="UTC"))
            case Decimal():
                texts = [each and str(each) for each in values]
                return Array(texts, DataType.utf8()).cast(DataType.decimal128(38, 2))
            case float():
                return Array(values, DataType.float64())
            case int():
                return Array(values, DataType.int64())
            case _:
                return Array(values, DataType.utf8())

    write(Table.from_pydict({name: array(values) for name, values in columns.items()}), path)


@pytest.mark.parametrize("name", ["a.ndjson", "a.ndjson.gz", "a.csv"])
def test_a_long_file_takes_no_more_memory_than_a_short_one(tmp_path: Path, name: str) -> None:
    content = b"a,b\n" * 150_000
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    tracemalloc.start()
    source = Source(path)
    count = sum(1 for _ in source.records)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    source.close()
    assert count >= 149_999
    assert most < 300_000
