"""The top-up queue: buy credit, at most once per attempt, whatever is lost on the way. Law 5.6.

A message names an attempt (from the bus, a sweep, a webhook or a person), and maybe a payment that was made for it; a
payment of which something went back; or a page on which a card was saved. Nothing of it but ids is believed.
"""

from typing import Any

from billing.top_ups import BY_A_PERSON
from handlers import _live
from handlers._attempting import Attempting
from handlers._cards import card_saved
from handlers._live import Live
from handlers._messages import take_each
from handlers._taking_back import check_bought, take_back


def take(message: dict[str, Any], live: Live, now: int) -> None:
    """Handle one message."""
    detail = message.get("detail", message)
    if "page" in detail:
        card_saved(detail["page"], live, now)
    elif "payment_intent" in detail and "attempt" not in detail:
        take_back(detail["payment_intent"], live, now)
    else:
        cancel = BY_A_PERSON if detail.get("cancel") else None
        attempt = Attempting(live, now, cancel).go(detail["customer"], detail["attempt"])
        if "paid" in detail:
            check_bought(attempt, detail["customer"], detail["paid"], live)


def handler(event: dict[str, Any], _context: object) -> None:
    """SQS; a message that cannot be processed is parked, one whose outcome is unknown comes again later."""
    take_each(event, "top_up", take, _live.live, "TOP_UP")
