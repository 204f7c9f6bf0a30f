"""The page of an invoice in a real browser: whole at the width of paper, over as many pages as it needs."""

from pathlib import Path

import pytest

from portal.invoice import render
from tests.portal.browser import measured, needs_chromium, printed
from tests.portal.papers import invoice, line

pytestmark = [pytest.mark.deep, needs_chromium]

# What is left of a page between its margins, at 96 pixels an inch.
WIDTHS = {"A4": 680, "letter": 702}
LONG = "a-name-without-any-end-" * 20 + "x" * 300
HOSTILE = "<script>document.title='x'</script><img src=x onerror=alert(1)>\"'&amp;</style>{}@import"
TIERS = [
    {"up_to": "1000", "quantity": "1000", "unit_price": "0.5", "flat_fee": "0", "amount": "500"},
    {"up_to": None, "quantity": "9" * 30, "unit_price": "0." + "0" * 29 + "1", "flat_fee": "5", "amount": "5"},
]


def hostile() -> str:
    """A page of which everything that a user can write is too long, or dangerous."""
    party = {
        "name": HOSTILE,
        "email": LONG,
        "tax_id": HOSTILE,
        "address": {"city": LONG, "more": [HOSTILE, {"x": LONG}]},
    }
    lines = [
        line(LONG, "9" * 30, quantity="9" * 30, unit=LONG, unit_price="0." + "1" * 30),
        line(f"{HOSTILE} (region {HOSTILE})", item=HOSTILE, dimensions={"region": HOSTILE}, tiers=TIERS),
        line(f"{HOSTILE} (region {LONG})", item=HOSTILE, dimensions={"region": LONG}),
        line("Discount", "-1", item=None, kind="discount", quantity=None, unit=None, unit_price=None),
    ]
    url = 'https://pay.example/"><script>'
    return render(
        invoice(*lines, number=HOSTILE, status="past_due", issuer=party, bill_to=party, hosted_invoice_url=url)
    )


@pytest.mark.parametrize("paper", ["A4", "letter"])
@pytest.mark.parametrize("media", ["screen", "print"])
def test_everything_is_visible_and_nothing_sticks_out(tmp_path: Path, paper: str, media: str) -> None:
    page = hostile().replace(f"@media {media}{{", "@media all{")
    told = measured(page, WIDTHS[paper], tmp_path)
    assert told["needs"] <= told["width"]
    assert (told["outside"], told["hidden"], told["scripts"], told["asked"]) == (0, 0, 0, 0)
    assert HOSTILE in told["text"]
    assert LONG in told["text"]
    for text in ("PAST DUE", "Pay this invoice online", "Up to 1,000", "Amount due (USD)", "12.50", "−1.00"):
        assert text in told["text"], text


def test_it_fits_a_telephone(tmp_path: Path) -> None:
    told = measured(hostile(), 360, tmp_path)
    assert (told["needs"] <= told["width"], told["outside"], told["hidden"]) == (True, 0, 0)


@pytest.mark.parametrize(("paper", "size"), [("A4", (595, 842)), ("letter", (612, 792))])
def test_three_hundred_lines_break_over_pages(tmp_path: Path, paper: str, size: tuple[int, int]) -> None:
    one = render(invoice(line()))
    assert printed(one, paper, tmp_path) == (1, size)
    many = render(invoice(*(line(f"Line {number}", item=f"i{number}") for number in range(300))))
    pages, found = printed(many, paper, tmp_path)
    assert found == size
    assert 7 <= pages <= 11
