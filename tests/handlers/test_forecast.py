"""The routes that look ahead and aside: how long a balance lasts, and what another plan would have cost."""

from collections.abc import Callable

import pytest

from metering.times import DAY, HOUR, format_time
from tests.handlers.street import NOW, Street, used

ACME = "/v1/customers/acme"


def test_a_balance_tells_when_it_runs_out_and_reads_a_bounded_number_of_hours_for_it(
    build: Callable[[], Street], monkeypatch: pytest.MonkeyPatch
) -> None:
    street = build()
    street.now = NOW - 10 * DAY
    street.prepare()
    street.does("POST", f"{ACME}/credits", {"id": "c", "amount": "144"})
    street.now = NOW
    street.post(*(used(f"e{number}", 60 * number + 1, "1") for number in range(-239, 1)))
    street.flow()
    read: list[str] = []
    table = street.tables["Ledger"]
    whole = table.query

    def counting(*args: str, **given: int) -> object:
        for item in whole(*args, **given):  # type: ignore[arg-type]  # as it was called
            read.append(str(item["sk"]))
            yield item

    monkeypatch.setattr(table, "query", counting)
    told = street.does("GET", f"{ACME}/balance")
    # 240 hours at 0.50 were drawn; what is left lasts for 48 more.
    assert (told["balance"], told["runs_out_at"]) == ("24", format_time(NOW + 48 * HOUR))
    assert len([sort for sort in read if sort.startswith("entries#")]) <= 193
    street.does("POST", f"{ACME}/credits/c/revoke", {"id": "r", "amount": "12"})
    assert street.does("GET", f"{ACME}/balance")["runs_out_at"] == format_time(NOW + 24 * HOUR)
    street.does("POST", f"{ACME}/credits/c/revoke", {"id": "rest"})
    assert street.does("GET", f"{ACME}/balance")["runs_out_at"] is None
