"""Rate models, minimum, maximum and discounts, and how amounts are rounded."""

from decimal import Decimal
from fractions import Fraction

from billing.money import cumulative, round_money
from billing.rating import subtotal
from metering.decimals import text
from tests.billing.published.reading import Json, amounts, bill, exact, item, per, reads, used

# Rate models.


def tiered(model: str, tiers: list[Json]) -> Json:
    return {"model": model, "tiers": tiers}


@reads(
    *("stripe-volume-typographic", "lago-volume-docs", "flexprice-volume-65k", "zuplo-volume-15k"),
    *("stripe-graduated-typographic", "lago-graduated-percentage-tests", "recurly-tiered-150-documents"),
    *("zuora-tiered-overage-130", "killbill-docs-chocolate"),
)
def _tiers(given: Json, expected: Json) -> None:
    """Where a tier's fee is due at quantity zero elsewhere, nothing used is nothing owed here."""
    price = tiered(given.get("model", "graduated"), given["tiers"])
    for quantity, amount in zip(given["quantities"], expected["amounts"], strict=True):
        assert exact(price, quantity) == ("0" if quantity == "0" else text(Decimal(amount)))


@reads("flexprice-package-ranges-sms")
def _stairs(given: Json, expected: Json) -> None:
    price = tiered("stairstep", [{"up_to": each["up_to"], "flat_fee": each["price"]} for each in given["steps"]])
    assert [exact(price, quantity) for quantity in given["quantities"]] == expected["amounts"]


@reads("killbill-docs-water-top-tier", "killbill-docs-water-capacity")
def _water(given: Json, expected: Json) -> None:
    steps = [
        {"up_to": each["up_to"] and each["up_to"].split()[0], "flat_fee": each["price"]}
        for each in given.get("steps", [])
    ]
    price = tiered("stairstep", steps) if steps else tiered("volume", given["tiers"])
    fee = {"key": "fee", "price": {"model": "flat", "amount": given["recurring"]}}
    totals = [text(subtotal(bill(fee, item("w", price), usage=[used(each)]))) for each in given["quantities"]]
    assert totals == expected["invoice_totals"]


@reads("killbill-top-tier-111")
def _blocks_of_one(given: Json, expected: Json) -> None:
    reached, tiers = 0, []
    for each in given["blocks"]:
        reached += int(each["block_size"]) * int(each["max_blocks"])
        tiers.append({"up_to": str(reached), "unit_price": each["price_per_block"]})
    assert exact(tiered("volume", tiers), given["quantity"]) == expected["total"]


def package(size: str, price: str) -> Json:
    return {"model": "package", "size": size, "package_price": price}


@reads("killbill-top-tier-blocks")
def _blocks(given: Json, expected: Json) -> None:
    """Every block that is begun is a step, at the price of the tier that all of it falls in."""
    steps, reached = [], 0
    for tier in given["blocks"]:
        size, end = int(tier["block_size"]), reached + int(tier["block_size"]) * int(tier["max_blocks"])
        end = end if tier is not given["blocks"][-1] else max(map(int, given["quantities"]))
        first = reached // size + 1  # all of it is counted in blocks of the tier
        fees = {count * size: text(count * Decimal(tier["price_per_block"])) for count in range(first, end // size + 1)}
        steps += [{"up_to": str(up_to), "flat_fee": fee} for up_to, fee in fees.items()]
        reached = end
    price = tiered("stairstep", steps)
    assert [exact(price, each) for each in given["quantities"]] == [text(Decimal(each)) for each in expected["totals"]]


@reads("openmeter-convert-round-tiers")
def _units_begun(given: Json, expected: Json) -> None:
    """A unit that is rounded up is a tier with a fee for being entered."""
    bound = int(given["tiers"][0]["up_to"])
    prices = [given["tiers"][0 if unit <= bound else 1]["unit_price"] for unit in range(1, 20)]
    tiers = [{"up_to": str(unit), "flat_fee": price} for unit, price in enumerate(prices, 1)]
    item_ = item("i", tiered("graduated", tiers), divide_by=given["divide_by"])
    (line,) = bill(item_, usage=[used(given["raw_quantity"])])
    fees = [Decimal(step["amount"] or 0) for step in line.tiers]
    assert len(fees) == int(expected["billed_units"])
    assert [text(sum(fees[:bound], Decimal(0))), text(sum(fees[bound:], Decimal(0)))] == expected["lines"]


@reads("openmeter-convert-round-discount")
def _units_begun_less_what_is_free(given: Json, expected: Json) -> None:
    """Likewise: of the first unit that is begun a part is free."""
    price, free = Decimal(given["unit_price"]), Decimal(given["free_units"])
    fees = [price * (1 - free), *[price] * 9]
    tiers = [{"up_to": str(unit), "flat_fee": text(fee)} for unit, fee in enumerate(fees, 1)]
    item_ = item("i", tiered("graduated", tiers), divide_by=given["divide_by"])
    (line,) = bill(item_, usage=[used(given["raw_quantity"])])
    assert (text(line.amount), text(line.amount / price)) == (expected["amount"], expected["billed_units"])


@reads("stripe-transform-minutes-to-hours", "stripe-transform-per-5-users")
def _transformed(given: Json, expected: Json) -> None:
    price = package(given["divide_by"], given["unit_price"])
    quantities = given.get("quantities", [given.get("quantity")])
    assert [exact(price, each) for each in quantities] == expected.get("amounts", [expected.get("amount")])


@reads("flexprice-tier-package")
def _packages(given: Json, expected: Json) -> None:
    assert exact(package(given["package_size"], given["package_price"]), given["quantity"]) == expected["amount"]


@reads("openmeter-package-counts")
def _package_counts(given: Json, expected: Json) -> None:
    price = item("i", package(given["package_size"], given["package_price"]))
    for quantity, packages in zip(given["quantities"], expected["packages"], strict=True):
        (line,) = bill(price, usage=[used(quantity)])
        assert [step["packages"] for step in line.tiers] == ([packages] if packages != "0" else [])


@reads("openmeter-package-split", "openmeter-unit-delta")
def _difference(given: Json, expected: Json) -> None:
    """What was rated before is subtracted from what all of it is rated now."""
    if "unit_price" in given:
        price, before, after = per(given["unit_price"]), given["previous_quantity"], given["current_quantity"]
    else:
        price, before = package(given["package_size"], given["package_price"]), given["already_used"]
        after = str(int(before) + int(given["new_usage"]))
    more = Decimal(exact(price, after)) - Decimal(exact(price, before))
    assert more == Decimal(expected["delta_amount" if "delta_amount" in expected else "amount"])


@reads("killbill-late-usage-delta")
def _late(given: Json, expected: Json) -> None:
    price = package(given["block_size"], given["price_per_block"])
    told = []
    for period in given["periods"]:
        (line,) = bill(item("i", price), usage=[used(each) for each in period["usage"]])
        told.append(text(line.amount - Decimal(period["already_billed"])))
    assert told == expected["new_charges"]


@reads("zuplo-per-unit")
def _per_unit(given: Json, expected: Json) -> None:
    assert exact(per(given["unit_price"]), given["quantity"]) == expected["amount"]


@reads("lago-percentage-no-free")
def _percentage(given: Json, expected: Json) -> None:
    price = {"model": "percentage", "rate": given["rate_pct"], "fixed_fee": given["fixed_fee_per_event"]}
    assert exact(price, sum(map(Decimal, given["events"]), Decimal(0)), len(given["events"])) == expected["charge"]


@reads("lago-percentage-minmax-free3-10000")
def _clamped_beyond_what_is_free(given: Json, expected: Json) -> None:
    """Both limits are reached within the third event: what is beyond the free amount is rated, and clamped."""
    price = {"model": "percentage", "rate": given["rate_pct"], "fixed_fee": given["fixed_fee_per_event"]}
    price |= {"minimum": given["per_event_min"], "maximum": given["per_event_max"]}
    events = given["events"]
    assert len(events) == int(given["free_events"])
    usage = [used(sum(map(Decimal, events), Decimal(0)), len(events))]
    (line,) = bill(item("i", price, included=given["free_amount"]), usage=usage)
    assert text(line.amount_exact) == expected["charge"]


@reads("lago-percentage-scn-minmax-3")
def _clamped_one_by_one(given: Json, expected: Json) -> None:
    """Each event is a combination of its own, and so a line that is clamped."""
    price = {"model": "percentage", "rate": given["rate_pct"], "fixed_fee": given["fixed_fee_per_event"]}
    price |= {"minimum": given["per_event_min"], "maximum": given["per_event_max"]}
    matrix = {"model": "matrix", "by": ["event"], "prices": [{"when": {}, "price": price}]}
    usage = [used(value, event=str(place)) for place, value in enumerate(given["events"])]
    assert subtotal(bill(item("i", matrix), usage=usage)) == Decimal(expected["charge"])


@reads("openmeter-dynamic-multiplier")
def _multiplied(given: Json, expected: Json) -> None:
    """A multiplier is a percentage above a hundred."""
    price = {"model": "percentage", "rate": text(Decimal(given["multiplier"]) * 100)}
    assert amounts(bill(item("i", price), usage=[used(given["quantity"])])) == {"i": expected["amount"]}


@reads("openmeter-graduated-22-lines")
def _steps(given: Json, expected: Json) -> None:
    """Fees and units of a tier are lines there, and one step here."""
    (line,) = bill(item("i", tiered("graduated", given["tiers"])), usage=[used(given["quantity"])])
    assert [step["amount"] for step in line.tiers] == [each for each in expected["lines"] if each != "0"]
    assert text(line.amount) == expected["total"]


# Minimum, maximum, discounts.


@reads("lago-true-up-docs")
def _true_up(given: Json, expected: Json) -> None:
    lines = bill(item("i", per("1")), usage=[used(given["usage_amount"])], minimum=given["minimum"])
    assert (lines[-1].kind, text(lines[-1].amount)) == ("minimum", expected["true_up"])


@reads("openmeter-graduated-min-spend-1000")
def _least(given: Json, expected: Json) -> None:
    """What was billed already is the fee of the first tier."""
    lines = bill(item("i", tiered("graduated", given["tiers"])), usage=[used("1")], minimum=given["minimum"])
    assert [text(line.amount) for line in lines] == [given["already_billed"], expected["minimum_spend_line"]]


@reads("openmeter-graduated-max-spend-170")
def _most(given: Json, expected: Json) -> None:
    """The cap takes the same off the whole; there it is cut from lines, here it is one of its own."""
    price, most = item("i", tiered("graduated", given["tiers"])), given["maximum"]
    before = subtotal(bill(price, usage=[used(given["already_used"])], maximum=most))
    after = bill(price, usage=[used(given["already_used"]), used(given["new_usage"])], maximum=most)
    assert text(before) == given["already_billed"]
    assert -after[-1].amount == sum(map(Decimal, expected["discounts"]))
    assert subtotal(after) - before == sum(map(Decimal, expected["net"]))


@reads("openmeter-discount-then-max")
def _discounted_then_capped(given: Json, expected: Json) -> None:
    fields = {"discounts": [{"percent": given["discount_pct"]}], "maximum": given["maximum"]}
    price = item("i", per(given["unit_price"]))
    before = bill(price, usage=[used(given["already_used"])], **fields)
    after = bill(price, usage=[used(given["already_used"]), used(given["new_usage"])], **fields)
    assert text(subtotal(before)) == given["already_billed"]
    assert text(after[0].amount - before[0].amount) == expected["gross"]
    assert text(before[1].amount - after[1].amount) == expected["percentage_discount"]
    assert text(-after[2].amount) == expected["max_spend_discount"]
    assert text(subtotal(after) - subtotal(before)) == expected["net"]


@reads("flexprice-proration-yearly-upgrade")
def _upgrade(given: Json, expected: Json) -> None:
    """The change splits the period: each plan's fee counts by its share."""
    left = Fraction(int(given["days_remaining"]), int(given["period_days"]))

    def fee(amount: str, share: Fraction) -> Decimal:
        return subtotal(bill({"key": "fee", "price": {"model": "flat", "amount": amount}}, usage=[], share=share))

    credit = Decimal(given["old_price"]) - fee(given["old_price"], 1 - left)
    charge = fee(given["new_price"], left)
    assert [text(each) for each in (credit, charge, charge - credit)] == [
        expected["credit"],
        expected["charge"],
        expected["net"],
    ]


# Rounding.


@reads("chargebee-usd-jpy")
def _rounded_to_its_currency(given: Json, expected: Json) -> None:
    for currency in ("USD", "JPY"):
        (line,) = bill(item("i", per(given["unit_price"])), usage=[used(given["quantity"])], currency=currency)
        assert (text(line.amount), text(line.amount_exact)) == (expected[currency], expected["exact"])


@reads("zuora-65.8476")
def _rounded(given: Json, expected: Json) -> None:
    assert text(round_money(Decimal(given["value"]), given["currency"])) == expected["rounded"]


@reads("killbill-fraction-of-cents")
def _half_up(given: Json, expected: Json) -> None:
    (line,) = bill(item("i", per(given["unit_price"])), usage=[used(given["quantity"])])
    assert text(line.amount) == expected["rounded"]
    assert text(line.amount - Decimal(given["already_billed"])) == expected["new_charge"]


@reads(
    *("openmeter-allocate-6-by-10-5", "openmeter-allocate-100-by-1-2-3", "openmeter-allocate-1-cent-by-100-1"),
    "openmeter-allocate-5-by-10-5",
)
def _shared_out(given: Json, expected: Json) -> None:
    weights = [int(each) for each in given["weights"]]
    parts = cumulative((Fraction(given["amount"]) * each / sum(weights) for each in weights), "USD")
    assert parts == [Decimal(each) for each in expected["shares"]]
