"""POST /v1/stripe/webhook: check the signature, queue the object's id for whoever knows it, acknowledge.

Nothing of the message but ids is believed: the object is fetched again from Stripe by the function that handles it.
The check is Stripe's documented scheme in the standard library, so that this door never loads the SDK.
"""

import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any

from adapters.availability import available
from adapters.clock import real_now
from handlers import _live
from handlers._door import answer, body_of, header, refuse
from handlers._live import Live
from handlers._stripe_news import hand_on
from metering.errors import Invalid, TaximeterError

_TOLERANCE_SECONDS = 300
_MOST_BYTES = 1024 * 1024


def check_signature(body: bytes, signature: str, secrets: Sequence[str], now_seconds: int) -> None:
    """Check that Stripe signed this body, with any of the secrets, less than five minutes ago or ahead.

    Raises:
        Invalid: `signature`, it did not.
    """
    parts = [part.partition("=") for part in signature.split(",")]
    times = [value for name, _, value in parts if name == "t" and value.isascii() and value.isdigit()]
    given = [value for name, _, value in parts if name == "v1" and value.isascii()]
    if len(times) != 1 or len(times[0]) > 12 or abs(now_seconds - int(times[0])) > _TOLERANCE_SECONDS:
        raise Invalid("the signature's time is missing, too old or ahead", "signature")
    signed = times[0].encode() + b"." + body
    expected = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    if not any(hmac.compare_digest(mine.encode(), theirs.encode()) for mine in expected for theirs in given):
        raise Invalid("the signature does not fit", "signature")


def _take(event: dict[str, Any], live: Live) -> None:
    body = body_of(event, _MOST_BYTES)
    secrets = live.secret.stripe_webhook_secrets()
    # Stripe signs with the real time, also on a local cloud whose clock was moved.
    now = real_now()
    check_signature(body, header(event, "stripe-signature"), secrets, now // 1000)
    try:
        message = json.loads(body)
    except ValueError:
        raise Invalid("the body is not JSON") from None
    if isinstance(message, dict) and isinstance(message.get("id"), str):
        hand_on(message, live, now)


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """HTTP API, payload format 2.0."""
    try:
        with available():
            _take(event, _live.live)
    except TaximeterError as error:
        return refuse(error)
    return answer(200, {"received": True})
