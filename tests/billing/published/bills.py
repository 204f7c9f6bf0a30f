"""Serverless bills: milliseconds × gigabytes, and events."""

from decimal import Decimal
from typing import Any

from billing.money import round_money
from billing.rating import subtotal
from metering.meters import Meter
from metering.sessions import Session, billed_until
from tests.billing.published.reading import Json, amounts, bill, item, million, per, reads, used


def compute(price: str, **fields: Any) -> Json:
    return item("compute", per(price), divide_by="1000", unit="GB-s", **fields)


def gigabyte_milliseconds(count: str, milliseconds: str, megabytes: str) -> Decimal:
    return Decimal(count) * Decimal(milliseconds) * Decimal(megabytes) / 1024


@reads("aws-lambda-ex1-mobile-backend", "gorillastack-autotag-20m")
def _free_tier(given: Json, expected: Json) -> None:
    quantity = gigabyte_milliseconds(given["requests"], given["duration_ms_each"], given["memory_mb"])
    computing, requests = bill(
        compute(given["price_per_gb_second"], included=given["free_gb_seconds"]),
        item("r", million(given["price_per_million_requests"]), measure="events", included=given["free_requests"]),
        usage=[used(quantity, given["requests"])],
    )
    places = Decimal(expected["total"]).as_tuple().exponent
    assert computing.quantity == Decimal(expected["billable_gb_seconds"])
    assert computing.included + computing.quantity == Decimal(expected["gb_seconds"])
    assert requests.quantity == Decimal(expected["billable_requests"])
    if places == -2:
        assert [computing.amount, requests.amount] == [
            Decimal(expected["compute_charge"]),
            Decimal(expected["request_charge"]),
        ]
    else:  # the source keeps a third decimal, and so does what is exact
        assert computing.amount_exact == Decimal(expected["compute_charge"])
        assert requests.amount_exact == Decimal(expected["request_charge"])


@reads("aws-lambda-pc1-app-launch")
def _provisioned_and_on_demand(given: Json, expected: Json) -> None:
    kept = gigabyte_milliseconds(given["provisioned_concurrency"], given["provisioned_seconds"], given["memory_mb"])
    usage = [
        used(kept * 1000, 0, mode="kept"),
        used(
            gigabyte_milliseconds(
                given["requests_while_provisioned"], given["ms_while_provisioned"], given["memory_mb"]
            ),
            given["requests_while_provisioned"],
            mode="provisioned",
        ),
        used(
            gigabyte_milliseconds(given["requests_otherwise"], given["ms_otherwise"], given["memory_mb"]),
            given["requests_otherwise"],
            mode="on demand",
        ),
    ]
    free = given["free_gb_seconds_on_demand_only"]
    lines = bill(
        compute(given["provisioned_price_gbs"], where={"mode": "kept"}) | {"key": "kept"},
        compute(given["provisioned_duration_price_gbs"], where={"mode": "provisioned"}) | {"key": "provisioned"},
        compute(given["on_demand_price_gbs"], where={"mode": "on demand"}, included=free),
        item("r", million(given["price_per_million_requests"]), measure="events", included=given["free_requests"]),
        usage=usage,
    )
    assert amounts(lines) == {
        "kept": expected["provisioned_charge"],
        "provisioned": expected["provisioned_duration_charge"],
        "compute": expected["on_demand_charge"],
        "r": expected["request_charge"],
    }
    assert subtotal(lines) == Decimal(expected["total"])


@reads("aws-lambda-pc2-cyber-monday")
def _provisioned(given: Json, expected: Json) -> None:
    kept = gigabyte_milliseconds(given["provisioned_concurrency"], given["provisioned_seconds"], given["memory_mb"])
    ran = gigabyte_milliseconds(given["requests"], given["duration_ms_each"], given["memory_mb"])
    prices = {"kept": given["provisioned_price_gbs"], "ran": given["provisioned_duration_price_gbs"]}
    lines = bill(
        *(compute(price, where={"mode": mode}) | {"key": mode} for mode, price in prices.items()),
        item("r", million(given["price_per_million_requests"]), measure="events"),
        usage=[used(kept * 1000, 0, mode="kept"), used(ran, given["requests"], mode="ran")],
    )
    assert amounts(lines) == {
        "kept": expected["provisioned_charge"],
        "ran": expected["duration_charge"],
        "r": expected["request_charge"],
    }
    assert subtotal(lines) == Decimal(expected["total"])


@reads("aws-lambda-response-streaming")
def _streamed(given: Json, expected: Json) -> None:
    """What a request streams beyond its own allowance is what is sent to the meter."""
    ran = gigabyte_milliseconds(given["requests"], given["duration_ms_each"], given["memory_mb"])
    large = given["streamed"][1]
    beyond = Decimal(large["requests"]) * (Decimal(large["mb_each"]) - Decimal(given["free_mb_per_request"]))
    lines = bill(
        compute(given["price_gbs"], where={"what": "run"}, included=given["free_gb_seconds"]),
        item("r", million(given["price_per_million_requests"]), measure="events", where={"what": "run"})
        | {"included": given["free_requests"]},
        item("streamed", per(given["price_per_gb_streamed"]), where={"what": "streamed"}, divide_by="1024"),
        usage=[used(ran, given["requests"], what="run"), used(beyond, 0, what="streamed")],
    )
    assert amounts(lines) == {
        "compute": expected["compute_charge"],
        "r": expected["request_charge"],
        "streamed": expected["streamed_charge"],
    }
    assert subtotal(lines) == Decimal(expected["total"])


@reads("aws-microvm1-dev-sandboxes")
def _sandboxes(given: Json, expected: Json) -> None:
    """What is rounded together there is one item here, split by what it consists of."""

    def split(key: str, **prices: str) -> Json:
        cells = [{"when": {"what": what}, "price": per(price)} for what, price in prices.items()]
        return item(key, {"model": "matrix", "by": ["what"], "prices": cells}, where={"of": key})

    compute_prices = {"vcpu": given["vcpu_second"], "gb": given["gb_second"]}
    usage = [
        used(Decimal(given[f"{of}_seconds"]) * Decimal(given[f"{of}_{what}"]), of=of, what=what)
        for of in ("peak", "baseline")
        for what in ("vcpu", "gb")
    ]
    kept = Decimal(given["image_storage_gb"]) * Decimal(given["month_hours"])
    kept += Decimal(given["suspended_gb"]) * Decimal(given["suspended_hours"])
    usage += [
        used(given["snapshot_write_gb"], of="io", what="write"),
        used(given["snapshot_read_gb"], of="io", what="read"),
        used(kept, of="storage"),
    ]
    lines = bill(
        split("peak", **compute_prices),
        split("baseline", **compute_prices),
        split("io", write=given["write_per_gb"], read=given["read_per_gb"]),
        item("s", per(given["storage_gb_month"]), where={"of": "storage"}, divide_by=given["month_hours"]),
        usage=usage,
    )
    assert amounts(lines) == {
        "peak": expected["peak_charge"],
        "baseline": expected["baseline_charge"],
        "io": expected["snapshot_io"],
        "s": expected["storage"],
    }
    assert subtotal(lines) == Decimal(expected["total"])


@reads("modal-azure-1.5gb-3m")
def _executions(given: Json, expected: Json) -> None:
    quantity = Decimal(given["executions"]) * Decimal(given["seconds_each"]) * 1000 * Decimal(given["memory_gb"])
    lines = bill(
        compute(given["price_gbs"], included=given["free_gb_seconds"]),
        item("r", million(given["price_per_million_executions"]), measure="events", included=given["free_executions"]),
        usage=[used(quantity, given["executions"])],
    )
    assert lines[0].quantity == Decimal(expected["billable_gb_seconds"])
    assert amounts(lines) == {"compute": expected["execution_charge"], "r": expected["executions_charge"]}
    assert subtotal(lines) == Decimal(expected["total"])


@reads("huawei-functiongraph-requests")
def _pooled_allowance(given: Json, expected: Json) -> None:
    usage = [used(count, function=str(place)) for place, count in enumerate(given["requests_by_function"])]
    lines = bill(item("r", million(given["price_per_million"]), included=given["free_requests_shared"]), usage=usage)
    assert amounts(lines) == {"r": expected["request_charge"]}


@reads("azure-functions-units-to-gbs")
def _units(given: Json, expected: Json) -> None:
    (line,) = bill(
        item("u", per("1"), divide_by=given["divisor"]), usage=[used(given["function_execution_units_mb_ms"])]
    )
    assert line.quantity is not None
    assert round_money(line.quantity, "USD") == Decimal(expected["gb_seconds"])


def session(milliseconds: str, weight: str = "1", **meter: str) -> Decimal:
    """What a session of one duration meter is billed."""
    shape = {"key": "m", "aggregation": "duration", "session": ["id"], "weight": "gb", **meter}
    whole = int(Decimal(milliseconds))  # what is beyond milliseconds is cut from timestamps
    return billed_until(
        Session("r", "id", 0, whole, "stop", Decimal(weight), ()), Meter.model_validate(shape), whole + 1
    )


@reads("azure-functions-gbs-basic")
def _weight(given: Json, expected: Json) -> None:
    quantity = session(str(Decimal(given["seconds"]) * 1000), given["memory_gb"])
    assert quantity / 1000 == Decimal(expected["gb_seconds"])


@reads("lambda-report-100ms-era", "gcf-100ms-ceiling")
def _rounded_up(given: Json, expected: Json) -> None:
    assert session(given["duration_ms"], round_up=f"{given['granularity_ms']}ms") == Decimal(expected["billed_ms"])
