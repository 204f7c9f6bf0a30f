"""POST /v1/quotes: with a plan of the catalogue, and with one that is only thought of."""

from typing import Any

from tests.handlers.street import PLAN, Street

INLINE = {
    "currency": "EUR",
    "items": [{"key": "a", "meter": "nowhere", "price": {"model": "per_unit", "unit_price": 2}}],
}


def ask(street: Street, plan: Any, *rows: dict[str, Any]) -> tuple[int, Any]:
    return street.call("POST", "/v1/quotes", {"plan": plan, "usage": list(rows)}, scopes="read")


def test_a_plan_of_the_catalogue_and_the_same_one_written_out_are_quoted_alike(street: Street) -> None:
    row = {"meter": "requests", "quantity": "1000", "events": 10}
    before = street.items("Catalog"), street.items("Ledger")
    status, told = ask(street, "serverless", row)

    assert (status, told["currency"], told["total"]) == (200, PLAN["currency"], told["subtotal"])
    assert told["lines"]
    assert ask(street, street.does("GET", "/v1/plans/serverless"), row) == (200, told)
    assert (street.items("Catalog"), street.items("Ledger")) == before


def test_the_meters_of_a_plan_that_is_written_out_need_not_exist(street: Street) -> None:
    status, told = ask(street, INLINE, {"meter": "nowhere", "quantity": "1.5"}, {"meter": "requests", "quantity": "7"})
    assert (status, told["currency"], told["total"]) == (200, "EUR", "3")


def test_a_meter_that_nobody_knows_is_told(street: Street) -> None:
    status, told = ask(street, INLINE, {"meter": "nowhere"}, {"meter": "requsts", "quantity": "7"})
    assert (status, [each["pointer"] for each in told["errors"]]) == (400, ["/usage/1/meter"])


def test_a_plan_that_is_not_there_is_not_found(street: Street) -> None:
    assert ask(street, "nothing")[0] == 404


def test_all_faults_of_a_plan_and_its_meters_are_told_at_once(street: Street) -> None:
    item = {"key": "a", "meter": "requsts", "price": {"model": "volume", "tiers": [{"up_to": "1"}]}}
    status, told = street.call("PUT", "/v1/plans/faulty", {"currency": "XXX", "items": [item, item]})
    assert (status, {each["pointer"] for each in told["errors"]}) == (
        400,
        {
            "/currency",
            "/items/0/meter",
            "/items/1/meter",
            "/items/1/key",
            "/items/0/price/tiers/0",
            "/items/1/price/tiers/0",
        },
    )
