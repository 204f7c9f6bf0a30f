"""Invoices as the API shows them, for the pages and tables that are made of them."""

from typing import Any


def line(description: str = "Calls", amount: str = "12.5", **more: Any) -> dict[str, Any]:
    """A line, usage of a single price unless told."""
    return {
        "item": "calls",
        "description": description,
        "quantity": "25",
        "unit": "calls",
        "unit_price": "0.5",
        "amount": amount,
        "amount_exact": amount,
        "kind": "usage",
        "tiers": [],
        "dimensions": {},
        **more,
    }


def adjustment(description: str, amount: str, **more: Any) -> dict[str, Any]:
    """A line of what an earlier period is adjusted by, or of what is granted for it."""
    return line(description, amount, kind="adjustment", item=None, quantity=None, unit=None, unit_price=None, **more)


def credited() -> dict[str, Any]:
    """An invoice whose adjustment leaves nothing to pay, and a credit besides."""
    october = {"start": "2026-09-30T22:00:00Z", "end": "2026-10-31T23:00:00Z"}
    return invoice(
        line(),
        adjustment("Adjustment of 2026-10-01 to 2026-10-31", "-20.5", period=october),
        adjustment("Granted as credit", "8"),
        **dict.fromkeys(("subtotal", "total", "amount_due"), "0"),
        credit_granted="8",
        credit="adjustment:20261031T230000Z",
    )


def invoice(*lines: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A paid invoice of November with these lines."""
    return {
        "id": "acme:20261101T0000Z",
        "number": "TX-000001",
        "customer": "acme",
        "status": "paid",
        "plan": {"key": "p", "version": 1},
        "currency": "USD",
        "period": {"start": "2026-10-31T23:00:00Z", "end": "2026-11-30T23:00:00Z"},
        "issuer": {
            "name": "Us",
            "address": {"line1": "1 Road", "city": "Bern"},
            "tax_id": "CHE-1",
            "invoice_prefix": "TX-",
        },
        "bill_to": {
            "name": "Acme",
            "email": "a@b.c",
            "address": {"city": "Berlin"},
            "tax_id": None,
            "timezone": "Europe/Berlin",
        },
        "lines": list(lines),
        "subtotal": "12.5",
        "credits_applied": "0",
        "tax_rate": "0",
        "tax": "0",
        "total": "12.5",
        "amount_due": "12.5",
        "amount_refunded": "0",
        "finalized_at": "2026-12-01T00:30:00Z",
        "due_at": "2026-12-31T00:30:00Z",
        "paid_at": "2026-12-04T23:30:00Z",
        "stripe_invoice": None,
        "hosted_invoice_url": None,
        "credit_granted": "0",
        "credit": None,
        "reissued_as": None,
        "held": False,
        "carried_by": None,
        "attempt_count": 0,
        "payment_failure": None,
        "next_payment_attempt": None,
        **more,
    }
