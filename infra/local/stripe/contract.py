"""Answers, checked against the classes of the ``stripe`` package.

The classes are generated from Stripe's own description of the pinned API version: their annotations say which keys an
object may have, which it must have, and of what type each is. Each annotation is read once and becomes a function from
a value to what is wrong with it, so that ten thousand answers are checked as readily as one.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Callable, Iterable
from decimal import Decimal

from stripe import ListObject, PaymentIntent, StripeObject
from stripe._object_classes import OBJECT_CLASSES, get_object_class
from stripe._stripe_object import UntypedStripeObject

from .problems import STAND_IN, Json

Check = Callable[[typing.Any], list[str]]
_PLAIN = {int, str, bool, type(None)}


def differences(answer: Json) -> list[str]:
    """Returns how an object, or a page of them, departs from the package's classes; empty when it does not."""
    return _under(answer.get("object", ""), _object(answer))


def of_error(error: Json) -> list[str]:
    """Returns how an error departs from what the package knows of errors, its code among them.

    Of all its classes, that of a payment's last error alone lists every code.
    """
    if error.get("code") == STAND_IN:
        return []
    return _under("error", _class(PaymentIntent.LastPaymentError)(error))


def _under(place: str, found: Iterable[str]) -> list[str]:
    return [f"{place}{finding}" for finding in found]


def _object(value: object) -> list[str]:
    if not isinstance(value, dict):
        return [f": {value!r} is no object"]
    kind = value.get("object")
    if kind == "list":
        return _page(value)
    if kind in OBJECT_CLASSES:
        return _class(get_object_class("V1", kind))(value)  # type: ignore[arg-type]  # a class can be hashed
    return [f": no class for object {kind!r}"]


def _page(value: object) -> list[str]:
    if not isinstance(value, dict) or value.keys() != {"object", "data", "has_more", "url"}:
        return [f": {value!r} is no list"]
    return [f"[{number}]{finding}" for number, item in enumerate(value["data"]) for finding in _object(item)]


@functools.cache
def _class(wanted: type) -> Check:
    """Returns the check of an object against a class: no unknown key, none missing, and each of its type."""
    hints = {key: hint for key, hint in wanted.__annotations__.items() if key[0].islower()}
    needed = {key for key, hint in hints.items() if type(None) not in typing.get_args(hint)}
    checks = {key: _check(hint) for key, hint in hints.items()}

    def check(value: object) -> list[str]:
        if not isinstance(value, dict):
            return [f": {value!r} is no {wanted.__name__}"]
        found = [f".{key}: unknown" for key in value.keys() - checks.keys()]
        if not value.get("deleted"):
            found += [f".{key}: missing" for key in needed - value.keys()]
        for key in value.keys() & checks.keys():
            found += _under(f".{key}", checks[key](value[key]))
        return found

    return check


@functools.cache
def _check(hint: object) -> Check:
    """Returns the check of one annotation. What it does not know of (the package has no such) fits anything."""
    origin = typing.get_origin(hint)
    if origin in {typing.Union, types.UnionType}:
        return _union(typing.get_args(hint))
    if origin is typing.Literal:
        allowed = frozenset(typing.get_args(hint))
        return _test(hint, lambda value: isinstance(value, str | bool | int) and value in allowed)
    if origin is ListObject:
        return _page
    if origin is list:
        return _list(_check(typing.get_args(hint)[0]))
    if origin in {dict, UntypedStripeObject}:
        return _mapping(_check(typing.get_args(hint)[-1]))
    if isinstance(hint, str | typing.ForwardRef):
        return _object
    if hint in _PLAIN:
        return _test(hint, lambda value: type(value) is hint)
    if hint is Decimal:
        return _test(hint, lambda value: isinstance(value, str))
    if isinstance(hint, type) and issubclass(hint, StripeObject):
        return _class(hint)  # type: ignore[arg-type]  # a class can be hashed
    return lambda _: []


def _test(hint: object, fits: Callable[[object], bool]) -> Check:
    return lambda value: [] if fits(value) else [f": {value!r} is not {hint}"]


def _union(choices: tuple[typing.Any, ...]) -> Check:
    """Accepts any choice. Of an open enumeration (literals or any string) only the known values count."""
    literal = any(typing.get_origin(choice) is typing.Literal for choice in choices)
    optional = type(None) in choices
    checks = [
        (choice is str, _check(choice))
        for choice in choices
        if choice is not type(None) and not (literal and choice is str)
    ]

    def check(value: object) -> list[str]:
        if value is None and optional:
            return []
        tried = []
        for is_text, each in checks:
            if is_text and isinstance(value, dict):
                continue  # an id that was expanded: the object is what it is held against
            found = each(value)
            if not found:
                return found
            tried.append(found)
        return min(tried, key=len, default=[f": {value!r} is not one of {choices}"])

    return check


def _list(inner: Check) -> Check:
    def check(value: object) -> list[str]:
        if not isinstance(value, list):
            return [f": {value!r} is not a list"]
        return [f"[{number}]{finding}" for number, item in enumerate(value) for finding in inner(item)]

    return check


def _mapping(inner: Check) -> Check:
    def check(value: object) -> list[str]:
        if not isinstance(value, dict):
            return [f": {value!r} is not a mapping"]
        return [f"[{key}]{finding}" for key, item in value.items() for finding in inner(item)]

    return check
