"""How webhooks are signed: the symmetric scheme of the Standard Webhooks specification.

No endpoint's secret is kept anywhere. Each is derived from the deployment's one signing key, the endpoint's id and the
version of its secret, so that whoever may read the tables learns none.
"""

import hashlib
import hmac
from base64 import b64encode


def endpoint_secret(signing_key: str, endpoint: str, version: int) -> bytes:
    """The secret that an endpoint shares with us: 256 bits."""
    return _hmac(signing_key.encode(), f"{endpoint}.{version}".encode())


def shown_secret(secret: bytes) -> str:
    """The secret as its holder gets it: `whsec_` and base64."""
    return f"whsec_{b64encode(secret).decode()}"


def signed_headers(secret: bytes, message: str, payload: str, now_seconds: int) -> dict[str, str]:
    """The headers that say which webhook this is, when it was sent, and that it was we who sent it.

    Args:
        secret: the endpoint's.
        message: the webhook's id; without a full stop, which parts what is signed.
        payload: the body, as it is sent.
        now_seconds: when it is sent, since 1970.
    """
    signed = f"{message}.{now_seconds}.{payload}".encode()
    return {
        "webhook-id": message,
        "webhook-timestamp": str(now_seconds),
        "webhook-signature": f"v1,{b64encode(_hmac(secret, signed)).decode()}",
    }


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()
