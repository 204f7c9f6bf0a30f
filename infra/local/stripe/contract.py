"""Answers, checked against the classes of the ``stripe`` package.

The classes are generated from Stripe's own description of the pinned API version: their annotations say which keys an
object may have, which it must have, and of what type each is.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from decimal import Decimal

from stripe import ListObject, StripeObject
from stripe._object_classes import OBJECT_CLASSES, get_object_class
from stripe._stripe_object import UntypedStripeObject

from .problems import Json


def differences(answer: Json) -> list[str]:
    """Returns how an object, or a page of them, departs from the package's classes; empty when it does not."""
    return list(_object(answer, answer.get("object", "")))


def _object(value: Json, path: str) -> Iterator[str]:
    kind = value.get("object")
    if kind == "list":
        yield from _page(value, path)
    elif kind in OBJECT_CLASSES:
        yield from _class(value, get_object_class("V1", kind), path)
    else:
        yield f"{path}: no class for object {kind!r}"


def _page(value: Json, path: str) -> Iterator[str]:
    if value.keys() != {"object", "data", "has_more", "url"}:
        yield f"{path}: keys of a list are {sorted(value)}"
    for number, item in enumerate(value.get("data", [])):
        yield from _object(item, f"{path}[{number}]")


def _class(value: Json, wanted: type, path: str) -> Iterator[str]:
    hints = {key: hint for key, hint in wanted.__annotations__.items() if key[0].islower()}
    yield from (f"{path}.{key}: unknown" for key in value.keys() - hints.keys())
    needed = {key for key, hint in hints.items() if not _is_optional(hint)}
    if not value.get("deleted"):
        yield from (f"{path}.{key}: missing" for key in needed - value.keys())
    for key in value.keys() & hints.keys():
        yield from _value(value[key], hints[key], f"{path}.{key}")


def _is_optional(hint: object) -> bool:
    return type(None) in typing.get_args(hint)


def _value(value: object, hint: object, path: str) -> Iterator[str]:
    origin = typing.get_origin(hint)
    if origin in {typing.Union, types.UnionType}:
        yield from _union(value, typing.get_args(hint), path)
    elif origin is typing.Literal:
        yield from _unless(value in typing.get_args(hint), value, hint, path)
    elif origin in {list, dict, UntypedStripeObject, ListObject}:
        yield from _container(value, origin, typing.get_args(hint)[-1], path)
    elif isinstance(hint, str | typing.ForwardRef):
        yield from _object(value, path) if isinstance(value, dict) else [f"{path}: not an object"]
    elif isinstance(hint, type) and issubclass(hint, StripeObject):
        yield from _class(value, hint, path) if isinstance(value, dict) else [f"{path}: no object"]
    elif hint in {int, str, bool, type(None)}:
        yield from _unless(type(value) is hint, value, hint, path)
    elif hint is Decimal:
        yield from _unless(isinstance(value, str), value, hint, path)


def _unless(fits: bool, value: object, hint: object, path: str) -> Iterator[str]:  # noqa: FBT001 - the one thing it decides on
    if not fits:
        yield f"{path}: {value!r} is not {hint}"


def _union(value: object, choices: tuple[object, ...], path: str) -> Iterator[str]:
    """Accepts any choice. Of an open enumeration (literals or any string) only the known values count."""
    if value is None and type(None) in choices:
        return
    literal = any(typing.get_origin(choice) is typing.Literal for choice in choices)
    plain = {type(None), str} if literal or isinstance(value, dict) else {type(None)}
    found = [list(_value(value, choice, path)) for choice in choices if choice not in plain]
    yield from min(found, key=len, default=[f"{path}: {value!r} is not one of {choices}"])


def _container(value: object, origin: object, inner: object, path: str) -> Iterator[str]:
    if origin is ListObject and isinstance(value, dict):
        yield from _page(value, path)
    elif origin is list and isinstance(value, list):
        for number, item in enumerate(value):
            yield from _value(item, inner, f"{path}[{number}]")
    elif origin in {dict, UntypedStripeObject} and isinstance(value, dict):
        for key, item in value.items():
            yield from _value(item, inner, f"{path}[{key}]")
    else:
        yield f"{path}: {value!r} is not {origin}"
