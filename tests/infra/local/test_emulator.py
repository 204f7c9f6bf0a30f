"""What is amended in MiniStack for speed says what it said before."""

import itertools
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ministack.services import dynamodb  # type: ignore[import-untyped]  # has no types

from infra.local import emulator

KEYS = "pk = :pk AND sk BETWEEN :first AND :last"
SORTS = ["\x00", "a", "a#", "a$", "a#b", "a\ud7ff", "a\ufffd", "a\U0010ffff", "é", "z"]


@pytest.mark.parametrize(("first", "last"), [*itertools.combinations_with_replacement(sorted(SORTS), 2)])
def test_a_query_by_keys_finds_what_the_whole_evaluation_finds(first: str, last: str) -> None:
    values = {":pk": {"S": "p"}, ":first": {"S": first}, ":last": {"S": last}}
    for sort in SORTS:
        item = {"pk": {"S": "p"}, "sk": {"S": sort}}
        asked = (KEYS, item, values, dict[str, str]())
        whole = dynamodb._evaluate_condition(*asked, slot="KeyConditionExpression")
        assert emulator._holds(dynamodb._evaluate_condition, *asked, slot="KeyConditionExpression") == whole
        assert whole == (first.encode() <= sort.encode() <= last.encode())


@pytest.mark.parametrize(
    ("expression", "slot"),
    [
        ("pk = :pk", "KeyConditionExpression"),
        (f"{KEYS} AND x = :pk", "KeyConditionExpression"),
        (KEYS, "FilterExpression"),
        ("attribute_not_exists(pk)", "ConditionExpression"),
    ],
)
def test_every_other_expression_is_left_to_it(expression: str, slot: str) -> None:
    asked: list[object] = []

    def evaluate(*given: object, slot: str) -> bool:
        asked.append((*given, slot))
        return True

    assert emulator._holds(evaluate, expression, {}, {}, {}, slot=slot)
    assert asked == [(expression, {}, {}, {}, slot)]


def archive(path: Path, content: str) -> Path:
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("handlers/rate.py", content)
    return path


def test_an_archive_is_extracted_once_however_many_ask_for_it_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    one, same, other = (archive(tmp_path / name, name.split("-")[0]) for name in ("a-1.zip", "a-2.zip", "b.zip"))
    folders = [tmp_path / f"worker-{number}" for number in range(9)]

    def extract(folder: Path, source: Path) -> str:
        folder.mkdir()
        with emulator._SharedArchive(source) as packed:
            packed.extractall(str(folder))
        return (folder / "handlers" / "rate.py").read_text()

    with ThreadPoolExecutor(9) as pool:
        assert set(pool.map(extract, folders[:8], [one, same] * 4)) == {"a"}
    assert extract(folders[8], other) == "b.zip"
    assert len({folder.resolve() for folder in folders}) == 2
