"""What can be charged at all: the least and the most, in minor units."""

from __future__ import annotations

from infra.local.stripe.problems import invalid

# As Stripe's page on currencies lists them. Of others it says only: the like of half a dollar.
_LEAST = {
    "aed": 200, "aud": 50, "bgn": 100, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250, "eur": 50,
    "gbp": 30, "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50,
    "pln": 200, "ron": 200, "sek": 300, "sgd": 50, "thb": 1000, "usd": 50,
}  # fmt: skip

METHOD_OPTIONS = {
    "installments": None,
    "mandate_options": None,
    "network": None,
    "request_three_d_secure": "automatic",
}


def least(currency: str) -> int:
    """Returns the least amount that can be charged in a currency, in minor units."""
    return _LEAST.get(currency.lower(), 50)


def check_amount(amount: int, currency: str) -> None:
    """Raises a 400 when the amount cannot be charged in this currency."""
    if len(currency) != 3 or not currency.isalpha():
        raise invalid(f"Invalid currency: {currency}.", param="currency")
    if amount < 1:
        text = "This value must be greater than or equal to 1."
        raise invalid(text, param="amount", code="parameter_invalid_integer")
    if amount < least(currency):
        text = f"Amount must be at least {least(currency)} {currency.lower()}"
        raise invalid(text, param="amount", code="amount_too_small")
    if amount > 99_999_999:
        text = "Amount must be no more than 99999999"
        raise invalid(text, param="amount", code="amount_too_large")
