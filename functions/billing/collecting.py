"""Collecting an invoice through Stripe: how far it is, what is tried when, what is too small. Law 5.7.

Every stage is stored before the call that it names, so that whoever finds it knows which call may have been made.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from metering.errors import Conflict
from metering.times import DAY, MINUTE

Stage = Literal["waiting", "others", "making", "filling", "open", "trying", "processing", "held", "carried", "lost"]

# Which stage may follow which. `making` and `trying` name the call whose outcome is not known yet. `filling` has a
# draft at Stripe, and `open` an invoice that was finalised there; `processing` waits for a bank. `held` is too small to
# be charged and waits for the next invoice, on whose Stripe invoice it is then `carried`. `lost` is one that Stripe's
# payment does not pay: it was lost in a dispute, or made beside another payment; it is never charged again.
TRANSITIONS: dict[Stage, frozenset[Stage]] = {
    "waiting": frozenset({"making", "others"}),
    "others": frozenset({"making"}),
    "making": frozenset({"making", "filling", "others", "lost"}),
    "filling": frozenset({"making", "open", "held", "others", "lost"}),
    "open": frozenset({"trying", "processing", "lost"}),
    "trying": frozenset({"open", "processing", "lost"}),
    "processing": frozenset({"open", "lost"}),
    "held": frozenset({"making", "carried"}),
    "carried": frozenset({"held", "lost"}),
    "lost": frozenset(),
}

AGAIN = (DAY, 3 * DAY, 7 * DAY)
"""When a card is tried again, counted from its first decline; then a person has to do something."""
STANDSTILL = 15 * MINUTE
"""How long nothing happens before somebody looks what became of it."""
MOST_CARRIED = 40
"""How many invoices one Stripe invoice carries beside its own: each is an entry of its metadata, of which it has 50."""

NO_PAYMENT_METHOD = "no_payment_method"
AUTHENTICATION_REQUIRED = "authentication_required"


@dataclass(frozen=True, slots=True)
class Collecting:
    """How far the collecting of one invoice is.

    Attributes:
        issue: how many Stripe invoices were begun for it; names their keys.
        deployment: whose it is, as several may share an account at Stripe; on the Stripe invoice, and in its keys.
        card_holder: the Stripe customer to whom the Stripe invoice is addressed.
        days_until_due: of a Stripe invoice that is sent; None for one that is charged.
        sent: whether Stripe was told to send it.
        carries: ids of the invoices whose sums stand on the Stripe invoice too.
        carried_by: id of the invoice on whose Stripe invoice the sum of this one stands.
        tries: how often it was tried to charge it; names the key of the last try.
        method: the card of the last try.
        declined_at: when that card was first declined.
        look_at: when to go on by itself; None when others have to do something.
        reason: why the last try failed.
        told: the reasons that were announced.
        closed: the final status to which Stripe's side was brought.
    """

    stage: Stage = "waiting"
    issue: int = 0
    deployment: str = ""
    card_holder: str | None = None
    days_until_due: int | None = None
    sent: bool = False
    carries: tuple[str, ...] = ()
    carried_by: str | None = None
    tries: int = 0
    method: str | None = None
    declined_at: int | None = None
    look_at: int | None = None
    reason: str | None = None
    told: tuple[str, ...] = ()
    closed: str | None = None

    @property
    def at_stripe(self) -> bool:
        """Whether there is, or may be, a Stripe invoice of its own that is not over."""
        return self.stage in {"making", "filling", "open", "trying", "processing"}

    def is_due(self, now: int) -> bool:
        """Whether it goes on by itself now."""
        if self.stage == "waiting" and self.look_at is None:
            return True
        return self.look_at is not None and self.look_at <= now

    def as_json(self) -> dict[str, Any]:
        """What is kept of it: what is not as at the beginning."""
        begun = asdict(Collecting())
        return {name: value for name, value in asdict(self).items() if value != begun[name]}


NOT_BEGUN = Collecting()


def read_collecting(kept: Mapping[str, Any]) -> Collecting:
    """Read back what `as_json` told."""
    lists = {name: tuple(kept[name]) for name in ("carries", "told") if name in kept}
    return Collecting(**{**kept, **lists})


@dataclass(frozen=True, slots=True)
class Asked:
    """Who wants an invoice to be collected now, whatever its schedule says.

    Attributes:
        card_added: the customer has another card.
        after_try: a person wants another try after so many; told again when there was one, it asks for nothing.
    """

    card_added: bool = False
    after_try: int | None = None


BY_ITSELF = Asked()


def into(state: Collecting, stage: Stage, look_at: int | None = None, **known: Any) -> Collecting:  # noqa: ANN401 - fields of it
    """The next stage, with what is known from then on.

    Raises:
        Conflict: `collection_stage`, the table does not allow it.
    """
    if stage not in TRANSITIONS[state.stage]:
        raise Conflict(f"what is {state.stage} in its collecting cannot become {stage}", "collection_stage")
    return replace(state, stage=stage, look_at=look_at, **known)


def begun(
    state: Collecting, card_holder: str, days_until_due: int | None, carries: tuple[str, ...], now: int
) -> Collecting:
    """Before a Stripe invoice is made: all that the call is made of."""
    return into(
        state,
        "making",
        now + STANDSTILL,
        issue=state.issue + 1,
        card_holder=card_holder,
        days_until_due=days_until_due,
        sent=False,
        carries=carries,
    )


def wants_try(state: Collecting, asked: Asked, method: str, now: int) -> bool:
    """Whether this card is to be charged now: as scheduled, because it is another one, or because a person says so."""
    if state.is_due(now) or asked.after_try == state.tries:
        return True
    return asked.card_added and method != state.method


def trying(state: Collecting, method: str, now: int) -> Collecting:
    """Before a card is charged: the number of the try, which names its key, and the card."""
    first = state.declined_at if method == state.method else None
    known = {"tries": state.tries + 1, "method": method, "declined_at": first}
    return into(state, "trying", now + STANDSTILL, **known)


def failed(state: Collecting, reason: str, now: int) -> Collecting:
    """After a try that failed, or could not even be made: when there is to be another.

    A card is tried again on its schedule. One whose bank wants to see its holder is not: nobody would be there. Without
    a card somebody looks every day whether there is one.
    """
    first = now if state.declined_at is None else state.declined_at
    if reason == NO_PAYMENT_METHOD:
        return replace(state, look_at=now + DAY, reason=reason, method=None, declined_at=None)
    ahead = [first + later for later in AGAIN if first + later > now]
    look_at = ahead[0] if ahead and reason != AUTHENTICATION_REQUIRED else None
    after = replace(state, look_at=look_at, reason=reason, declined_at=first)
    return after if state.stage == "open" else into(after, "open", look_at)


def told(state: Collecting, reason: str) -> Collecting:
    """Once a reason was announced."""
    return state if reason in state.told else replace(state, told=(*state.told, reason))
