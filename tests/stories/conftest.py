"""A customer of its own for every story, on the one local cloud."""

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.stories.story import METERS, PLAN, Story

if TYPE_CHECKING:
    from infra.local.cloud import Cloud

_numbers = itertools.count(1)


@pytest.fixture
def story(cloud: "Cloud") -> Iterator[Story]:
    from infra.local.clock import now_milliseconds

    with cloud.api() as api:
        for key, meter in METERS.items():
            assert api.put(f"/v1/meters/{key}", json=meter).status_code in (200, 201)
        assert api.put("/v1/plans/story", json=PLAN).status_code in (200, 201)
        customer = f"story-{next(_numbers)}"
        assert api.put(f"/v1/customers/{customer}", json={"plan": "story", "name": "A <b>story</b>"}).status_code == 201
        credit = {"id": "welcome", "amount": "100", "kind": "promotional"}
        assert api.post(f"/v1/customers/{customer}/credits", json=credit).status_code == 201
        yield Story(cloud, api, customer, now_milliseconds(cloud))
