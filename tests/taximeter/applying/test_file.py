"""A catalogue file is read as it was written, and every fault of it is told at once."""

import pytest

from metering.meters import Meter
from taximeter.applying.file import misfits, read

CATALOGUE = """
meters:
  - {key: requests, aggregation: sum, dimensions: [region]}
plans:
  - key: basic
    currency: USD
    items:
      - {key: calls, meter: requests, price: {model: per_unit, unit_price: 4.50}}
customers:
  - id: acme
    plan: basic
    tax_id: 0123
    days_until_due: 14
    starts_at: 2026-11-01T00:00:00Z
    address: {country: NO, postal_code: 01234, street: "12:30"}
"""


def test_text_stays_text_whatever_yaml_would_make_of_it() -> None:
    (customer,) = (entry.body() for entry in read(CATALOGUE).entries if entry.kind == "customers")
    assert customer["address"] == {"country": "NO", "postal_code": "01234", "street": "12:30"}
    assert (customer["tax_id"], customer["days_until_due"]) == ("0123", 14)
    assert customer["starts_at"] == "2026-11-01T00:00:00Z"


@pytest.mark.parametrize("price", ["4.50", "0.100000000000000005551115123126", "1e-7", "12345678901234567890"])
def test_a_price_keeps_its_digits(price: str) -> None:
    (plan,) = (entry.written for entry in read(CATALOGUE.replace("4.50", price)).entries if entry.kind == "plans")
    assert plan["items"][0]["price"]["unit_price"] == price


def test_what_is_the_same_can_be_said_once() -> None:
    text = """
customers:
  - &usual {id: one, timezone: Europe/Berlin, prepaid_only: true}
  - {<<: *usual, id: two}
"""
    one, two = (entry.body() for entry in read(text).entries)
    assert two == one | {"id": "two"}


def test_meters_come_before_plans_and_plans_before_customers() -> None:
    text = "customers: [{id: acme}]\nplans: [{key: p, currency: USD}]\nmeters: [{key: m, aggregation: count}]"
    assert [entry.kind for entry in read(text).entries] == ["meters", "plans", "customers"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("meters: [", "the file is not YAML"),
        ("- meters", "a catalogue has the lists"),
        ("meter: []", "a catalogue has the lists"),
        ("meters: [{key: m, key: n, aggregation: sum}]", "'key' is there twice"),
        ("meters: [!!python/object/apply:os.getcwd []]", "the file is not YAML"),
    ],
)
def test_a_file_that_is_no_catalogue_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        read(text)
    assert said in str(refused.value)


CALLS = "{key: c, meter: requests, price: {model: per_unit, unit_price: 1}, where: {planet: earth}}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("meters: {key: m}", ["meters: must be a list"]),
        ("meters: [m]", ["meters[0]: must be a mapping"]),
        ("meters: [{key: m, aggregation: sum}, {key: m, aggregation: max}]", ["meters/m: is there twice"]),
        ("customers: [{id: c, colour: red}]", ["customers/c: /colour: Extra inputs are not permitted"]),
        ("customers: [{id: c, plan: gold}]", ["customers/c: /plan: there is no plan gold"]),
        ("customers: [{id: c, plan: sold}]", []),
        (
            "customers: [{id: c, alerts: [{key: a, kind: usage_above, threshold: 1, meter: gone}]}]",
            ["customers/c: /alerts/0/meter: there is no meter gone"],
        ),
        ("plans: [{key: p}]\ncustomers: [{id: c, plan: p}]", ["plans/p: /currency: Field required"]),
        (
            f"meters: [{{key: requests}}]\nplans: [{{key: p, currency: USD, items: [{CALLS}]}}]",
            ["meters/requests: /aggregation: Field required"],
        ),
        (
            "meters: [{key: m, aggregation: sum, weight: gb, round_up: 1s}]\n"
            f"plans: [{{key: p, currency: XYZ, items: [{CALLS}]}}, {{items: [{{key: d, price: {{}}, meter: n}}]}}]\n"
            "customers: [{id: c, timezone: Mars, plan: gold}]",
            [
                "meters/m: /weight: `weight` belongs to duration meters",
                "meters/m: /round_up: `round_up` belongs to duration meters",
                "plans/p: /currency: must be an ISO 4217 currency such as USD",
                "plans[1]: /key: Field required",
                "plans[1]: /currency: Field required",
                "plans[1]: /items/0/price: Unable to extract tag using discriminator 'model'",
                "customers/c: /timezone: must be an IANA time zone such as Europe/Berlin",
                "plans/p: /items/0/where/planet: meter requests has no dimension planet",
                "plans[1]: /items/0/meter: there is no meter n",
                "customers/c: /plan: there is no plan gold",
            ],
        ),
    ],
)
def test_all_faults_of_a_file_are_told_at_once_and_where_they_are(text: str, told: list[str]) -> None:
    catalogue = read(text)
    requests = Meter(key="requests", aggregation="sum")
    assert [*catalogue.faults, *misfits(catalogue, {"requests": requests}, {"sold"})] == told


def test_an_empty_file_asks_for_nothing() -> None:
    assert read("").entries == read("meters:\nplans: []").entries == ()


def test_a_plan_is_held_against_the_meters_of_the_file() -> None:
    catalogue = read(CATALOGUE.replace("meter: requests,", "meter: requests, where: {planet: earth},"))
    assert list(misfits(catalogue, {}, ())) == [
        "plans/basic: /items/0/where/planet: meter requests has no dimension planet"
    ]
