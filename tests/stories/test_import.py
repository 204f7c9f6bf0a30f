"""A file on the local cloud: every row of it is metered once, however often it is sent, and however large it is."""

import csv
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from infra.local.clock import now_milliseconds, wait_until_quiet
from metering.times import DAY, HOUR, format_time
from tests.stories.story import METERS, PLAN

if TYPE_CHECKING:
    from infra.local.cloud import Cloud

pytestmark = pytest.mark.cloud


@dataclass(frozen=True)
class Calls:
    """Calls of some customers over some days up to now, in no order, as a CSV file has them."""

    customers: Sequence[str]
    now: int
    days: int
    count: int

    def rows(self) -> Iterator[list[str]]:
        """Each call: its id, when, how much, in which cloud, and whose it is."""
        numbers = list(range(self.count))
        Random(1).shuffle(numbers)  # noqa: S311 - a repeatable shuffle, no secret
        for number in numbers:
            at = self.now - self.days * DAY + number * (self.days * DAY - HOUR) // self.count
            customer = self.customers[number % len(self.customers)]
            yield [f"c-{number}", format_time(at), self._value(number), ("aws", "azure")[number % 2], customer]

    def write(self, file: Path) -> Path:
        """Write the file, with one row more that is none."""
        with file.open("w", newline="") as written:
            writer = csv.writer(written)
            writer.writerow(["uuid", "when", "calls", "cloud", "account"])
            writer.writerows(self.rows())
            writer.writerow(["c-x", "never", "1", "aws", self.customers[0]])
        return file

    def totals(self) -> dict[str, tuple[int, Decimal]]:
        """Of each customer how many calls there are, and their sum."""
        counts, sums = Counter[str](), Counter[str]()
        for number in range(self.count):
            customer = self.customers[number % len(self.customers)]
            counts[customer] += 1
            sums[customer] += int(Decimal(self._value(number)) * 100)
        return {name: (counts[name], Decimal(sums[name]) / 100) for name in self.customers}

    @staticmethod
    def _value(number: int) -> str:
        return f"{number % 7}.25"


def customers_of(cloud: "Cloud", prefix: str, count: int) -> list[str]:
    """New customers with a plan, whose month began early enough."""
    names = [f"{prefix}-{number}" for number in range(count)]
    begin = format_time((now_milliseconds(cloud) - 25 * DAY) // DAY * DAY)
    with cloud.api() as api:
        for key, meter in METERS.items():
            assert api.put(f"/v1/meters/{key}", json=meter).status_code in (200, 201)
        assert api.put("/v1/plans/story", json=PLAN).status_code in (200, 201)
        for name in names:
            assert api.put(f"/v1/customers/{name}", json={"plan": "story", "starts_at": begin}).status_code == 201
    return names


METER = "meter=story-requests"

# In a small process of its own: what is started counts the memory of who starts it as its own.
_MEASURE = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(done.returncode)
"""


def imported(cloud: "Cloud", file: Path) -> tuple[dict[str, Any], int]:
    """Run the command; returns what it tells, and its peak memory in kilobytes."""
    columns = ["id=uuid", "timestamp=when", "value=calls", "dimensions.provider=cloud", "customer=account"]
    command = [
        sys.executable,
        "-m",
        "taximeter.command",
        "import",
        str(file),
        "--set",
        "meter=story-requests",
        "--json",
    ]
    command += [word for each in columns for word in ("--map", each)]
    folders = os.pathsep.join(str(Path(__file__).parents[2] / each) for each in ("functions", "."))
    where = {"TAXIMETER_URL": cloud.api_url, "TAXIMETER_API_KEY": cloud.admin_key, "PYTHONPATH": folders}
    measured = [sys.executable, "-c", _MEASURE, *command]
    done = subprocess.run(measured, env=os.environ | where, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    assert done.returncode == 3, f"the row that is none is refused, and nothing else is wrong: {done.stderr}"
    told, peak = done.stdout.splitlines()
    return json.loads(told), int(peak)


def metered(api: httpx.Client, calls: Calls) -> dict[str, tuple[int, Decimal]]:
    """What the deployment counts of each customer."""
    found = {}
    times = {"from": format_time(calls.now - (calls.days + 1) * DAY), "to": format_time(calls.now + HOUR)}
    for name in calls.customers:
        asked = {"customer": name, "meter": "story-requests", "window": "total", **times}
        (row,) = api.get("/v1/usage", params=asked).json()["rows"]
        found[name] = row["events"], Decimal(row["quantity"])
    return found


def check(cloud: "Cloud", calls: Calls) -> None:
    """Every call is metered once and charged, and nothing is parked."""
    expected = calls.totals()
    with cloud.api() as api:
        assert metered(api, calls) == expected
        for name, (_, calls_sum) in expected.items():
            draft = api.get(f"/v1/customers/{name}/invoices/draft").json()
            assert sum(Decimal(line["quantity"]) for line in draft["lines"]) == calls_sum
    parked = [item for page, _ in cloud.table("Ledger").scan("parked") for item in page]
    assert parked == []


@pytest.mark.deep
def test_twenty_thousand_rows_of_a_file_are_metered_to_their_sum(cloud: "Cloud", tmp_path: Path) -> None:
    calls = Calls(customers_of(cloud, "imported", 3), now_milliseconds(cloud), 3, 20_000)
    file = calls.write(tmp_path / "calls.csv")
    for _ in range(2):
        told, _ = imported(cloud, file)
        assert (told["rows"], told["accepted"], told["rejected"]) == (calls.count + 1, calls.count, 1)
        wait_until_quiet(cloud)
        check(cloud, calls)
    (refused,) = map(json.loads, (tmp_path / "calls.csv.rejected.ndjson").read_text().splitlines())
    assert (refused["row"], refused["code"], refused["event"]["timestamp"]) == (calls.count + 1, "invalid", "never")


@pytest.mark.large
@pytest.mark.timeout(6 * 3600)
def test_a_million_rows_are_metered_to_their_sum_in_memory_that_does_not_grow(cloud: "Cloud", tmp_path: Path) -> None:
    """Over twenty customers and twenty days, shuffled, so that each request comes to a thousand hours.

    `pytest -m large -n 0 -rP tests/stories/test_import.py` tells what it took.
    """
    peaks = []
    for count in (100_000, 1_000_000):
        calls = Calls(customers_of(cloud, f"large-{count}", 20), now_milliseconds(cloud), 20, count)
        file = calls.write(tmp_path / f"{count}.csv")
        began = time.monotonic()
        told, peak = imported(cloud, file)
        assert (told["accepted"], told["rejected"]) == (count, 1)
        wait_until_quiet(cloud, timeout_seconds=3 * 3600)
        seconds = time.monotonic() - began
        check(cloud, calls)
        peaks.append(peak)
        sent = f"{told['seconds']:.0f} s, {told['rows_per_second']:,} a second"
        print(f"{count:>9,} rows: sent in {sent}; metered and charged after {seconds:.0f} s; {peak / 1024:.0f} MB")  # noqa: T201 - what the run was worth
    assert peaks[1] < peaks[0] * 1.25
