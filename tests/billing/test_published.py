"""Worked examples that others published: what the contract can express comes to the same figures, to the cent.

published/examples.json has the figures with their sources. Each of them is either read as a plan of ours (published/),
or is listed here with the reason why it cannot be.
"""

import pytest

from tests.billing.published import bills, prices, usage, wallets
from tests.billing.published.reading import EXAMPLES, READINGS

_FREE_EVENTS = "what is free is the amount of the first events in their order: `included` is a quantity or a number"
_BY_LINE = "tells what pays each line: the wallet draws the draft as a whole, and an invoice what credits paid of it"
NOT_EXPRESSIBLE = {
    "lambda-duration-1ms-ceiling": "a part of a millisecond: digits beyond milliseconds are cut from timestamps",
    "killbill-rolled-up-create-cancel": "counts an event at the very end: periods are half-open",
    "lago-percentage-docs-4th-txn": _FREE_EVENTS,
    "lago-percentage-free-amount-250": _FREE_EVENTS,
    "lago-percentage-scn-3-free-events": _FREE_EVENTS,
    "lago-percentage-scn-both-limits-amount": _FREE_EVENTS,
    "lago-percentage-minmax-free2": _FREE_EVENTS,
    "om-latest-aggregation-balance": "charges the latest value anew between changes of credits: it is one per period",
    "om-credits-on-lines-third-line-unpaid": _BY_LINE,
    "om-credits-on-lines-partial": _BY_LINE,
    "om-credits-on-lines-commitment-line": _BY_LINE,
    "kong-credit-purchase-price": "a credit that costs something else than it is worth: it is money",
    "lago-wallets-scoped-5150": "credits that pay some items only: they pay for everything",
    "openmeter-allocate-5-yen-by-3": "splits by the largest remainder: parts are rounded cumulatively, 2, 1 and 2",
}
"""What the contract cannot express, and why."""


READ_IN = (bills, prices, usage, wallets)
"""They enter their readings into `READINGS` as they are loaded."""


@pytest.mark.parametrize("name", READINGS)
def test_a_published_example_comes_to_the_same_figures(name: str) -> None:
    READINGS[name](EXAMPLES[name]["input"], EXAMPLES[name]["expected"])


def test_every_published_example_is_read_or_listed_with_the_reason() -> None:
    assert READINGS.keys() | NOT_EXPRESSIBLE.keys() == EXAMPLES.keys()
    assert not READINGS.keys() & NOT_EXPRESSIBLE.keys()
    assert all(example["source_url"].startswith("https://") for example in EXAMPLES.values())
