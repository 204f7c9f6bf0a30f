"""A catalogue file is read as it was written, and every fault of it is told at once."""

import pytest

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
    (customer,) = (entry.body() for entry in read(CATALOGUE) if entry.kind == "customers")
    assert customer["address"] == {"country": "NO", "postal_code": "01234", "street": "12:30"}
    assert (customer["tax_id"], customer["days_until_due"]) == ("0123", 14)
    assert customer["starts_at"] == "2026-11-01T00:00:00Z"


@pytest.mark.parametrize("price", ["4.50", "0.100000000000000005551115123126", "1e-7", "12345678901234567890"])
def test_a_price_keeps_its_digits(price: str) -> None:
    (plan,) = (entry.written for entry in read(CATALOGUE.replace("4.50", price)) if entry.kind == "plans")
    assert plan["items"][0]["price"]["unit_price"] == price


def test_what_is_the_same_can_be_said_once() -> None:
    text = """
customers:
  - &usual {id: one, timezone: Europe/Berlin, prepaid_only: true}
  - {<<: *usual, id: two}
"""
    one, two = (entry.body() for entry in read(text))
    assert two == one | {"id": "two"}


def test_meters_come_before_plans_and_plans_before_customers() -> None:
    text = "customers: [{id: acme}]\nplans: [{key: p, currency: USD}]\nmeters: [{key: m, aggregation: count}]"
    assert [entry.kind for entry in read(text)] == ["meters", "plans", "customers"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("meters: [", "the file is not YAML"),
        ("- meters", "a catalogue has the lists"),
        ("meter: []", "a catalogue has the lists"),
        ("meters: {key: m}", "meters: must be a list"),
        ("meters: [m]", "meters[0]: must be a mapping"),
        ("meters: [{key: m, key: n, aggregation: sum}]", "'key' is there twice"),
        ("meters: [{key: m, aggregation: sum}, {key: m, aggregation: sum}]", "meters/m: is there twice"),
        ("meters: [{key: m, aggregation: total}]", "meters/m: aggregation: "),
        ("customers: [{id: c, colour: red}]", "customers/c: colour: "),
        ("meters: [!!python/object/apply:os.getcwd []]", "the file is not YAML"),
    ],
)
def test_a_file_that_is_no_catalogue_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        read(text)
    assert said in str(refused.value)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ValueError, match=r"meters/m: (.|\n)*plans/p: (.|\n)*customers/c: "):
        read("meters: [{key: m}]\nplans: [{key: p}]\ncustomers: [{id: c, timezone: Mars}]")


def test_an_empty_file_asks_for_nothing() -> None:
    assert read("") == read("meters:\nplans: []") == []


def test_a_plan_is_held_against_the_meters_of_the_file() -> None:
    entries = read(CATALOGUE.replace("meter: requests,", "meter: requests, where: {planet: earth},"))
    assert list(misfits(entries, {})) == ["plans/basic: /items/0/where/planet: meter requests has no dimension planet"]
