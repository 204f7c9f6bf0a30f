"""A window that was damaged on the local cloud is right again after `taximeter replay`, and so is the bill."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adapters.items import Put
from infra.local.clock import wait_until_quiet
from metering.times import DAY, HOUR, format_time, hour_name
from metering.window_items import pack_slots
from taximeter.command import main
from tests.stories.story import Story

pytestmark = [pytest.mark.cloud, pytest.mark.deep]


def test_a_damaged_window_and_a_lost_one_are_right_again(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    at = story.now - 3 * HOUR
    edges = [story.edge("start", "i-1", at), story.edge("stop", "i-1", at + HOUR)]
    assert story.post([story.request("r-1", at, "7"), story.request("r-2", at, "5"), *edges]).status_code == 202
    wait_until_quiet(story.cloud)
    right = story.usage("story-requests"), story.usage("story-runtime"), story.draft()["subtotal"]

    table = story.cloud.table("Usage")
    damaged = table.get(story.customer, f"hour#{hour_name(at)}#story-requests")
    assert damaged is not None
    table.put(Put({**damaged, "data": pack_slots({})}))
    table.delete(story.customer, f"hour#{hour_name(at)}#story-runtime")
    assert story.usage("story-requests")["rows"] == []

    words = ["replay", "--from", format_time(at - DAY), "--to", format_time(story.now), "--json"]
    words += ["--customer", story.customer, "--port", str(story.cloud.port)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["customers"], told["sessions"], told["unanswered"], told["parked"]) == (1, 1, 0, 0)
    assert {f"{story.customer} hour#{hour_name(at)}#{meter}" for meter in ("story-requests", "story-runtime")} <= {
        *told["windows"]
    }
    wait_until_quiet(story.cloud)
    assert (story.usage("story-requests"), story.usage("story-runtime"), story.draft()["subtotal"]) == right
    assert json.loads(CliRunner().invoke(main, words).stdout)["changed"] == 0
    assert not list(tmp_path.iterdir())
