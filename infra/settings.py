"""What an operator can choose about a deployment: the context of cdk.json, read once."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from constructs import Node


@dataclass(frozen=True, slots=True)
class Settings:
    """One deployment's choices.

    Attributes:
        name: The prefix of stacks and functions; two deployments in one account differ by it.
        local: Whether this is the local cloud: throw-away data, the local platform's asset.
        freshness_seconds: How long stream consumers gather records, 0 to 300.
        top_up_delay_seconds: How long a requested top-up waits before it is looked at, 0 to 900.
        accept_past: The oldest event that is taken, as a duration ("35d").
        accept_future: How far ahead an event may be, as a duration ("5m").
        grace: How long after a period's end its invoice stays open, as a duration ("1h").
        issuer: Who issues the invoices: name, address, tax_id, invoice_prefix.
        stripe_url: Where Stripe answers on the local cloud; None is Stripe itself.
        api_url: Where the local cloud's APIs answer, each behind its id; None is the API's own address.
        alarms: Whether CloudWatch alarms are made.
        dashboard: Whether the CloudWatch dashboard is made.
        asset_directory: A folder built before to use as the functions' code; None builds it.
    """

    name: str
    local: bool
    freshness_seconds: int
    top_up_delay_seconds: int
    accept_past: str
    accept_future: str
    grace: str
    issuer: Mapping[str, object]
    stripe_url: str | None
    api_url: str | None
    alarms: bool
    dashboard: bool
    asset_directory: Path | None


def read(node: Node) -> Settings:
    """The settings in a construct tree's context.

    Raises:
        ValueError: A value is missing or not of its kind.
    """
    local = _flag(node, "local", default=False)
    directory = node.try_get_context("asset_directory")
    return Settings(
        name=_name(node),
        local=local,
        freshness_seconds=_number(node, "freshness_seconds", default=5, most=300),
        top_up_delay_seconds=_number(node, "top_up_delay_seconds", default=30, most=900),
        accept_past=_text(node, "accept_past", default="35d"),
        accept_future=_text(node, "accept_future", default="5m"),
        grace=_text(node, "grace", default="1h"),
        issuer=_mapping(node, "issuer"),
        stripe_url=node.try_get_context("stripe_url"),
        api_url=node.try_get_context("api_url"),
        alarms=_flag(node, "alarms", default=True) and not local,
        dashboard=_flag(node, "dashboard", default=True) and not local,
        asset_directory=Path(directory) if directory else None,
    )


def _name(node: Node) -> str:
    name = _text(node, "name", default="Taximeter")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,39}", name):
        message = f"context name must be a letter and up to 39 letters, digits or -, not {name!r}"
        raise ValueError(message)
    return name


def _text(node: Node, key: str, *, default: str) -> str:
    value = node.try_get_context(key)
    return default if value is None else str(value)


def _number(node: Node, key: str, *, default: int, most: int) -> int:
    value = node.try_get_context(key)
    number = default if value is None else int(value)
    if not 0 <= number <= most:
        message = f"context {key} must be between 0 and {most}, not {number}"
        raise ValueError(message)
    return number


def _flag(node: Node, key: str, *, default: bool) -> bool:
    """`-c key=false` on the command line arrives as text."""
    value = node.try_get_context(key)
    if value is None or isinstance(value, bool):
        return default if value is None else value
    if value not in ("true", "false"):
        message = f"context {key} must be true or false, not {value!r}"
        raise ValueError(message)
    return bool(value == "true")


def _mapping(node: Node, key: str) -> Mapping[str, object]:
    value = node.try_get_context(key)
    if isinstance(value, str):
        value = json.loads(value)
    if not isinstance(value, Mapping | None):
        message = f"context {key} must be an object"
        raise ValueError(message)
    return dict(value or {})
