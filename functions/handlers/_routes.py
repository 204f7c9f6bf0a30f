"""What the routes of the API share: reading bodies and queries, and what a key may do."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from aws_lambda_powertools.event_handler.api_gateway import Response
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from handlers import _live
from handlers._door import body_of, scopes_of
from metering.decimals import JsonNumber
from metering.errors import Fault, Forbidden, Invalid, NotFound
from metering.meters import Meter
from metering.times import parse_time

Parameters = ParamSpec("Parameters")
Body = dict[str, Any]

router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]  # Powertools leaves its constructor untyped
"""The one router to which every file of routes adds its own."""

_MOST_BYTES = 1024 * 1024
_MOST_ROWS = 1000


def needs(*scopes: str) -> Callable[[Callable[Parameters, Any]], Callable[Parameters, Any]]:
    """Let a route be called only with a key that has one of these scopes, or `admin`."""

    def decorate(route: Callable[Parameters, Any]) -> Callable[Parameters, Any]:
        @wraps(route)
        def checked(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Any:  # noqa: ANN401 - whatever the route answers
            if not scopes_of(_event()) & {*scopes, "admin"}:
                raise Forbidden("this key may not do that")
            return route(*args, **kwargs)

        return checked

    return decorate


def _event() -> dict[str, Any]:
    event: dict[str, Any] = router.current_event.raw_event
    return event


def read_body() -> Body:
    """The JSON object of a request; numbers with a fraction keep their digits.

    Raises:
        Invalid: it is no JSON object.
    """
    try:
        body = json.loads(body_of(_event(), _MOST_BYTES) or b"{}", parse_float=JsonNumber, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise Invalid("the body is not JSON") from None
    if not isinstance(body, dict):
        raise Invalid("the body must be a JSON object")
    return body


def named(body: Body, name: str, key: str) -> Body:
    """A body with the id or key that the path names.

    Raises:
        Invalid: it names another one.
    """
    if body.setdefault(name, key) != key:
        raise Invalid("the body", faults=[Fault(f"/{name}", "is another one than the path names")])
    return body


def _refuse(name: str) -> object:
    raise ValueError(name)


@contextmanager
def fault_at(pointer: str) -> Iterator[None]:
    """Say which part of a request is Invalid."""
    try:
        yield
    except Invalid as error:
        raise Invalid(error.detail, error.code, error.faults or [Fault(pointer, error.detail)]) from None


def query(name: str, default: str = "") -> str:
    """A parameter of the query string."""
    return str((_event().get("queryStringParameters") or {}).get(name) or default)


def query_all() -> dict[str, str]:
    """All parameters of the query string."""
    return dict(_event().get("queryStringParameters") or {})


def request_path() -> str:
    """The path of the request, as it was sent."""
    return str(_event().get("rawPath") or "")


def required_query(name: str) -> str:
    """A parameter of the query string that must be there.

    Raises:
        Invalid: it is not.
    """
    value = query(name)
    if not value:
        raise Invalid(f"the parameter `{name}` is required")
    return value


def query_matching(prefix: str) -> dict[str, str]:
    """The parameters whose names begin with a prefix, by the rest of their names."""
    given: dict[str, str] = _event().get("queryStringParameters") or {}
    return {name.removeprefix(prefix): value for name, value in given.items() if name.startswith(prefix)}


def query_where() -> dict[str, str | None]:
    """The values that dimensions must have (`where.region=eu`), and None for those to be missing (`without=region`)."""
    missing = [name for name in query("without").split(",") if name]
    return {**query_matching("where."), **dict.fromkeys(missing)}


def query_time(name: str) -> int | None:
    """An instant in the query string: RFC 3339, or epoch milliseconds."""
    given = query(name)
    if not given:
        return None
    with fault_at(f"/{name}"):
        return parse_time(int(given) if given.isascii() and given.isdigit() and len(given) < 16 else given)


def query_timezone(default: str) -> str:
    """The IANA time zone that the query string names.

    Raises:
        Invalid: there is none of that name.
    """
    timezone = query("timezone", default)
    try:
        ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):  # unknown, a path, or the name of a folder
        raise Invalid("`timezone` must be an IANA time zone such as Europe/Berlin") from None
    return timezone


def query_limit() -> int:
    """How many rows a page has: 100 unless told, 1,000 at most.

    Raises:
        Invalid: it is no such number.
    """
    given = query("limit", "100")
    # Not a digit too many, of which Python would not read thousands.
    limit = int(given) if given.isascii() and given.isdigit() and len(given) <= len(str(_MOST_ROWS)) else 0
    if not 1 <= limit <= _MOST_ROWS:
        raise Invalid("`limit` must be from 1 to 1000")
    return limit


def meter_named(key: str) -> Meter:
    """A meter.

    Raises:
        NotFound: there is none of this key.
    """
    meter = _live.live.catalog.meters().get(key)
    if meter is None:
        raise NotFound(f"there is no meter {key!r}")
    return meter


def name_of(path_parameter: str) -> str:
    """An id in a path, percent-encoding undone."""
    return unquote(path_parameter)


def reply(body: Body | list[Body], *, created: bool = False) -> Response[str]:
    """A JSON response: 201 when something was created, else 200."""
    return Response(
        status_code=201 if created else 200,
        content_type="application/json",
        body=json.dumps(body, separators=(",", ":")),
    )


def no_content() -> Response[str]:
    """The response of a DELETE."""
    return Response(status_code=204, body="")
