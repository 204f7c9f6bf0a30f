"""What every door has: a logger, metrics, and the words of HTTP. Nothing here knows a table."""

import base64
import gzip
import io
import json
import zlib
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit

from metering.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    TaximeterError,
    TooLarge,
    Unavailable,
    Unreadable,
)

logger = Logger()
metrics = Metrics()

_STATUS: Mapping[type[TaximeterError], int] = {
    Invalid: 400,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    TooLarge: 413,
    Unreadable: 500,
    Unavailable: 503,
}


# What one bad record makes our own code raise. It is parked with its payload; what is not here (a table that does
# not answer, a condition that fails) is the infrastructure's, and the batch is handled again.
UNPROCESSABLE = (Unreadable, Invalid, TooLarge, ArithmeticError, LookupError, TypeError, ValueError)


def count(name: str, number: int = 1) -> None:
    """Count something as a CloudWatch metric of this function; nothing is written for zero."""
    if number:
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=number)
        metrics.flush_metrics()


def status_of(error: TaximeterError) -> int:
    """Which HTTP status an error becomes."""
    return next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)


def problem(error: TaximeterError) -> dict[str, Any]:
    """The body of an error: RFC 9457 problem details, with a stable code and every fault of a body."""
    status = status_of(error)
    body: dict[str, Any] = {"type": "about:blank", "status": status, "code": error.code, "detail": error.detail}
    if error.faults:
        body["errors"] = [{"pointer": fault.pointer, "detail": fault.detail} for fault in error.faults]
    return body


def answer(status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """An HTTP API response (payload format 2.0)."""
    kind = "application/json" if status < 400 else "application/problem+json"
    return {
        "statusCode": status,
        "headers": {"content-type": kind, **(headers or {})},
        "body": json.dumps(body, separators=(",", ":")),
    }


def refuse(error: TaximeterError) -> dict[str, Any]:
    """The response that tells an error."""
    headers = {"retry-after": "1"} if isinstance(error, Unavailable) else None
    return answer(status_of(error), problem(error), headers)


def body_of(event: Mapping[str, Any], most_bytes: int) -> bytes:
    """The bytes of a request: base64 and gzip undone, never more than `most_bytes` unpacked.

    Raises:
        Invalid: they are not what the headers say.
        TooLarge: they are more.
    """
    raw = event.get("body") or ""
    try:
        body = base64.b64decode(raw) if event.get("isBase64Encoded") else raw.encode()
    except ValueError:
        raise Invalid("the body cannot be decoded") from None
    encoding = header(event, "content-encoding").strip().lower()
    if encoding in {"gzip", "x-gzip"}:
        body = _unpacked(body, most_bytes)
    elif encoding not in {"", "identity"}:
        raise Invalid("the only content encoding is gzip")
    if len(body) > most_bytes:
        raise TooLarge(f"a request holds at most {most_bytes // 1024 // 1024} MB")
    return body


def _unpacked(packed: bytes, most_bytes: int) -> bytes:
    # All of its members: several packed files one after the other are a packed file too.
    try:
        return gzip.GzipFile(fileobj=io.BytesIO(packed)).read(most_bytes + 1)
    except EOFError:
        raise Invalid("the gzip body is cut short") from None
    except (OSError, zlib.error):
        raise Invalid("the body is not gzip") from None


def header(event: Mapping[str, Any], name: str) -> str:
    """A request header; names arrive in lower case."""
    return str((event.get("headers") or {}).get(name) or "")


def scopes_of(event: Mapping[str, Any]) -> frozenset[str]:
    """What the key of this request may do, as the authorizer found it."""
    context = event.get("requestContext", {}).get("authorizer", {}).get("lambda") or {}
    return frozenset(str(context.get("scopes", "")).split())
