"""Files of events, row by row: NDJSON, CSV and Parquet, with gzip or without. Never more than a few rows in memory."""

import codecs
import csv
import gzip
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, TypeVar, cast

Format = Literal["ndjson", "csv", "parquet"]
Row = TypeVar("Row")

MOST_BYTES_OF_A_LINE = 1024 * 1024
"""More than any event can need: one holds at most 64 KB."""

_SUFFIXES: dict[str, Format] = {
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "ndjson",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}


@dataclass(frozen=True, slots=True)
class Damaged:
    """A row that cannot be read, and why; its neighbours can."""

    sent: str
    fault: str


Record = bytes | Mapping[str, object] | Damaged
"""A line of JSON as it was written, or the values of a row by their columns; None where a column holds nothing."""


class Source:
    """A file that is open.

    Attributes:
        columns: their names, where the file says them.
    """

    def __init__(self, path: Path, form: Format | None = None, delimiter: str | None = None) -> None:
        self.form = form or form_of(path)
        self._delimiter = delimiter or ("\t" if ".tsv" in path.suffixes else ",")
        self.columns: tuple[str, ...] | None = None
        self._raw: IO[bytes] = path.open("rb")
        self.bytes = path.stat().st_size
        match self.form:
            case "ndjson":
                self.records: Iterator[Record] = self._ndjson()
            case "csv":
                self.records = self._csv()
            case "parquet":
                self.records = self._parquet()

    def close(self) -> None:
        """Close the file."""
        self._raw.close()

    @property
    def position(self) -> int:
        """How many of the file's bytes have been read."""
        return self._raw.tell()

    def _lines(self) -> "_Lines":
        packed = self._raw.read(2) == b"\x1f\x8b"
        self._raw.seek(0)
        return _Lines(cast("IO[bytes]", gzip.GzipFile(fileobj=self._raw)) if packed else self._raw)

    def _ndjson(self) -> Iterator[Record]:
        first = True
        for line in _read(self._lines()):
            text = line if isinstance(line, Damaged) else line.removeprefix(codecs.BOM_UTF8).strip()
            if first and isinstance(text, bytes) and text.startswith(b"["):
                raise ValueError("a JSON array cannot be read piece by piece: write one event a line")
            if text:
                first = False
                yield text

    def _csv(self) -> Iterator[Record]:
        rows = csv.reader(_Text(self._lines()), delimiter=self._delimiter, strict=True)
        try:
            header = next(rows, [])
        except (csv.Error, ValueError) as fault:
            raise ValueError(f"the header cannot be read: {fault}") from fault
        if len(set(header)) < len(header):
            raise ValueError("two columns have the same name")
        self.columns = tuple(header)
        return self._cells(rows, header)

    def _cells(self, rows: Iterator[list[str]], header: list[str]) -> Iterator[Record]:
        for cells in _read(rows):
            if isinstance(cells, Damaged):
                yield cells
            elif len(cells) > len(header):
                yield Damaged(self._delimiter.join(cells), "has more cells than the header")
            elif cells:
                yield {name: cell or None for name, cell in zip(header, cells, strict=False)}

    def _parquet(self) -> Iterator[Record]:
        try:
            from arro3.io import read_parquet  # noqa: PLC0415 - an extra, which only this format needs
        except ModuleNotFoundError as missing:
            raise RuntimeError(f"{missing}: Parquet needs pip install 'taximeter[parquet]'") from missing
        with _parquet_faults():
            batches: Any = read_parquet(self._raw)
        self.columns = tuple(batches.schema.names)
        return self._values(iter(batches), self.columns)

    @staticmethod
    def _values(batches: Iterator[Any], names: tuple[str, ...]) -> Iterator[Record]:
        while True:
            with _parquet_faults():
                batch = next(batches, None)
                if batch is None:
                    return
                values = [batch.column(place).to_pylist() for place in range(len(names))]
            for cells in zip(*values, strict=True):
                yield dict(zip(names, cells, strict=True))


@contextmanager
def _parquet_faults() -> Iterator[None]:
    """Say in our own words what is wrong with a file; the library panics on some, which is no Exception."""
    try:
        yield
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as fault:
        raise ValueError(f"the file cannot be read as Parquet: {fault}") from fault


def form_of(path: Path) -> Format:
    """The format that a file's name promises.

    Raises:
        ValueError: it promises none.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in {".gz", ".gzip"}]
    if not suffixes or suffixes[-1] not in _SUFFIXES:
        raise ValueError(f"what {path.name} holds cannot be told from its name: give --format")
    return _SUFFIXES[suffixes[-1]]


class _Lines(Iterator[bytes]):
    """Lines of bounded length; one that is longer raises ValueError, and the one after it can be read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __next__(self) -> bytes:
        line = self._file.readline(MOST_BYTES_OF_A_LINE + 1)
        if not line:
            raise StopIteration
        if len(line) <= MOST_BYTES_OF_A_LINE:
            return line
        while line and not line.endswith(b"\n"):
            line = self._file.readline(MOST_BYTES_OF_A_LINE)
        raise ValueError("the line is longer than 1 MB")


class _Text(Iterator[str]):
    """Lines as text; one that is not UTF-8 raises ValueError, and the one after it can be read."""

    def __init__(self, lines: _Lines) -> None:
        self._lines = lines
        self._encoding = "utf-8-sig"

    def __next__(self) -> str:
        line = next(self._lines)
        encoding, self._encoding = self._encoding, "utf-8"
        return line.decode(encoding)


def _read(rows: Iterator[Row]) -> Iterator[Row | Damaged]:
    """Each row, or why it cannot be read."""
    while True:
        try:
            yield next(rows)
        except StopIteration:
            return
        except (csv.Error, ValueError) as fault:
            yield Damaged("", str(fault))
