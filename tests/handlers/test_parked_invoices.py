"""Nobody's invoice keeps the others from being made, numbered and credited. Law 5.7."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from adapters.items import Put
from handlers import _reports, invoice
from handlers._settling import settle_customer
from handlers.invoice import number_invoices
from metering.errors import Unavailable
from metering.times import HOUR, parse_time
from tests.handlers.street import Street, queue_record, used

DECEMBER, JANUARY = "2026-12-01T01:00:00Z", "2027-01-01T01:00:00Z"
CREDIT = "adjustment:20261201T000000Z"


@pytest.fixture
def owing(street: Street) -> Street:
    """A street on which acme, z and b were invoiced too much for November: December's invoices leave a credit."""
    for name in ("z", "b"):
        street.does("PUT", f"/v1/customers/{name}", {"plan": "serverless"})
    for name in ("acme", "z", "b"):
        post(street, used("a", customer=name, value="20"))
    street.advance(DECEMBER)
    for name in ("acme", "z", "b"):
        post(street, used("a", customer=name, value="20", void=True, revision=1))
    return street


def post(street: Street, *events: Any) -> None:
    street.post(*events)
    street.flow()


def december(street: Street, customer: str) -> Any:
    return street.does("GET", f"/v1/invoices/{customer}:20261201T0000Z")


def balance(street: Street, customer: str) -> Any:
    return street.does("GET", f"/v1/customers/{customer}/balance")["balance"]


def hinder(street: Street, customer: str) -> Callable[[], None]:
    """Damage a customer; returns how to mend it."""
    (item,) = (each for each in street.tables["Catalog"].all() if each["sk"] == customer and "body" in each)
    street.tables["Catalog"].put(Put({**item, "body": "{"}))
    return lambda: street.tables["Catalog"].put(Put(item))


def test_a_credit_of_that_id_which_a_client_granted_changes_nothing(owing: Street) -> None:
    for name in (CREDIT, f"{CREDIT}-2"):
        owing.does("POST", "/v1/customers/acme/credits", {"id": name, "amount": "1"})
    owing.advance(JANUARY)
    assert [december(owing, name)["credit"] for name in ("acme", "z", "b")] == [f"{CREDIT}-3", CREDIT, CREDIT]
    assert [balance(owing, name) for name in ("acme", "z", "b")] == ["12", "10", "10"]
    owing.hour()
    assert balance(owing, "acme") == "12"


def test_a_prepaid_wallet_gets_its_credit_whatever_ids_clients_took(owing: Street) -> None:
    owing.does("PATCH", "/v1/customers/acme", {"prepaid_only": True})
    owing.does("POST", "/v1/customers/acme/credits", {"id": CREDIT, "amount": "1"})
    owing.advance(JANUARY)
    assert balance(owing, "acme") == "11"
    assert owing.parked() == []


def test_who_cannot_be_credited_is_parked_until_he_can_and_his_neighbours_are(owing: Street) -> None:
    owing.now = parse_time(JANUARY)
    owing.minute()
    start = parse_time("2026-12-01T00:00:00Z")
    made = [invoice.finalize_period(name, start, owing, owing.now) for name in ("b", "acme", "z")]
    mend = hinder(owing, "b")
    number_invoices([each for each in made if each], owing, owing.now)
    assert [december(owing, name)["credit"] for name in ("acme", "z")] == [CREDIT, CREDIT]
    (parked,) = owing.parked("b")
    assert json.loads(json.loads(str(parked["record"]))["body"]) == {"invoices": ["b:20261201T0000Z"]}
    owing.now += HOUR
    owing.hour()  # the sweep comes to it too, and goes on
    assert owing.parked("b") == [{**parked, "parked_at": owing.now, "due_at": owing.now}]
    mend()
    invoice.handler({"Records": [json.loads(str(parked["record"]))]}, None)
    assert december(owing, "b")["credit"] == CREDIT
    assert balance(owing, "b") == "10"


def test_who_cannot_be_numbered_is_parked_and_his_neighbours_are_in_their_order(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"c{number}" for number in range(12)]
    for name in names:
        street.does("PUT", f"/v1/customers/{name}", {"plan": "serverless"})
        post(street, used("a", customer=name))
    street.now = parse_time(DECEMBER)
    street.minute()
    start = parse_time("2026-11-01T00:00:00Z")
    made = [invoice.finalize_period(name, start, street, street.now) for name in names]
    head = street.invoices.head

    def damaged(identity: str) -> Any:
        if identity.startswith("c3:"):
            raise KeyError("subtotal")
        return head(identity)

    with monkeypatch.context() as patched:
        patched.setattr(street.invoices, "head", damaged)
        number_invoices([each for each in made if each], street, street.now)
    numbers = {row["customer"]: row["number"] for row in street.does("GET", "/v1/invoices")["rows"]}
    others = sorted(set(names) - {"c3"}, key=lambda name: f"{name}:")
    assert [numbers[name] for name in others] == [f"TX-{count:06d}" for count in range(1, 12)]
    (parked,) = street.parked("c3")
    invoice.handler({"Records": [json.loads(str(parked["record"]))]}, None)
    assert street.does("GET", "/v1/invoices/c3:20261101T0000Z")["number"] == "TX-000012"


def test_a_list_of_the_sweep_goes_on_without_what_cannot_be_read_and_tells_of_it(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    street.does("PUT", "/v1/customers/z", {"plan": "serverless"})
    post(street, used("a"), used("a", customer="z"))
    street.now = parse_time(DECEMBER)
    street.minute()
    for name in ("acme", "z"):
        invoice.finalize_period(name, parse_time("2026-11-01T00:00:00Z"), street, street.now)
    (head,) = (item for item in street.items("Ledger", "invoice") if item["pk"] == "acme")
    street.tables["Ledger"].put(Put({**head, "body": "{}"}))
    counted: list[str] = []
    monkeypatch.setattr(_reports, "count", counted.append)
    street.hour()
    assert street.does("GET", "/v1/invoices/z:20261101T0000Z")["number"] == "TX-000001"
    assert set(counted) == {"ParkedRecords"}


def test_a_wallet_that_others_keep_writing_is_left_for_later_and_its_neighbours_are_invoiced(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    street.does("PUT", "/v1/customers/z", {"plan": "serverless"})
    post(street, used("a"), used("a", customer="z"))
    street.now = parse_time(DECEMBER)
    street.minute()

    def busy(customer: str, *args: Any) -> Any:
        if customer == "acme":
            raise Unavailable("the wallet is being written by others")
        return settle_customer(customer, *args)

    monkeypatch.setattr(invoice, "settle_customer", busy)
    start = parse_time("2026-11-01T00:00:00Z")
    batch = {"Records": [queue_record({"periods": [["acme", start], ["z", start]]})]}
    with pytest.raises(Unavailable):  # so that the queue brings it again
        invoice.handler(batch, None)
    assert street.does("GET", "/v1/invoices/z:20261101T0000Z")["number"] == "TX-000001"
    monkeypatch.setattr(invoice, "settle_customer", settle_customer)
    invoice.handler(batch, None)
    assert street.does("GET", "/v1/invoices/acme:20261101T0000Z")["number"] == "TX-000002"
