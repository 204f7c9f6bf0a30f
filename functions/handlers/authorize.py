"""The authorizer of the HTTP API: who holds this key, and may it do this. Its answers are cached for a minute."""

from typing import Any

from handlers import _live
from handlers._live import Live


def authorize(key: str, route: str, live: Live) -> dict[str, Any]:
    """Say whether a key may call a route; the context tells the function which scopes it has.

    Reading takes `read` or `admin`, sending events `ingest` or `admin`, everything else `admin`. The route as the
    gateway knows it may be a proxy for many paths: what needs more than its method says is checked by the function.
    """
    holder = live.keys.find(key)
    if holder is None:
        return {"isAuthorized": False}
    needed = {"ingest", "admin"} if route == "POST /v1/events" else {"read", "admin"}
    if not needed & set(holder.scopes):
        return {"isAuthorized": False}
    return {"isAuthorized": True, "context": {"key": holder.id, "scopes": " ".join(holder.scopes)}}


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Lambda authorizer, payload format 2.0, simple responses."""
    return authorize(event["headers"]["x-api-key"], event.get("routeKey", ""), _live.live)
