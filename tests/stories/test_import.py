"""A file on the local cloud: every row of it is metered once, however often it is sent."""

import csv
import gzip
import json
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.local.clock import wait_until_quiet
from metering.times import HOUR, format_time
from taximeter.command import main
from tests.stories.story import Story

pytestmark = [pytest.mark.cloud, pytest.mark.deep]


def test_twenty_thousand_rows_of_a_file_are_metered_to_their_sum(story: Story, tmp_path: Path) -> None:
    file = tmp_path / "calls.csv.gz"
    count = 20_000
    with gzip.open(file, "wt", newline="") as packed:
        writer = csv.writer(packed)
        writer.writerow(["uuid", "when", "calls", "cloud"])
        for number in range(count):
            at = story.now - HOUR + number * HOUR // count
            writer.writerow([f"c-{number}", format_time(at), f"{number % 7}.25", ("aws", "azure")[number % 2]])
        writer.writerow(["c-x", "never", "1", "aws"])
    mapping = ["id=uuid", "timestamp=when", "value=calls", "dimensions.provider=cloud"]
    constants = ["meter=story-requests", f"customer={story.customer}"]
    options = [word for each in mapping for word in ("--map", each)]
    options += [word for each in constants for word in ("--set", each)]
    where = {"TAXIMETER_URL": story.cloud.api_url, "TAXIMETER_API_KEY": story.cloud.admin_key}

    for _ in range(2):
        done = CliRunner().invoke(main, ["import", str(file), *options, "--json"], env=where)
        told = json.loads(done.stdout)
        assert (told["rows"], told["accepted"], told["rejected"], done.exit_code) == (count + 1, count, 1, 3)

    wait_until_quiet(story.cloud)
    rows = story.get("/v1/usage", customer=story.customer, meter="story-requests", window="total", group_by="provider")[
        "rows"
    ]
    assert sum(row["events"] for row in rows) == count
    expected = sum((Decimal(f"{number % 7}.25") for number in range(count)), Decimal(0))
    assert sum(Decimal(row["quantity"]) for row in rows) == expected
    (refused,) = (json.loads(line) for line in (tmp_path / "calls.csv.gz.rejected.ndjson").read_text().splitlines())
    assert (refused["row"], refused["code"], refused["event"]["timestamp"]) == (count + 1, "invalid", "never")
