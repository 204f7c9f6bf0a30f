"""Request parameters, checked against the types that the ``stripe`` package ships.

The package's TypedDicts are generated from Stripe's own description of the pinned API version: they are the contract.
"""

from __future__ import annotations

import functools
import operator
import sys
import typing

import stripe.params
import typing_extensions
from pydantic import ConfigDict, TypeAdapter, ValidationError
from stripe import RequestOptions

from .problems import Json, Problem, invalid

_CONFIG = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


def parse(name: str, given: Json) -> Json:
    """Returns the parameters with their types; the leaves of ``given`` are strings.

    Args:
        name: a class of ``stripe.params``, such as ``PaymentIntentCreateParams``.
        given: what the form body or query held.

    Raises:
        Problem: a parameter is unknown, missing or malformed.
    """
    for option in RequestOptions.__annotations__.keys() & given.keys():
        raise _unknown(option)
    try:
        parsed = _adapter(name).validate_python(given)
    except ValidationError as error:
        raise _problem(error) from error
    _check_integers(given, parsed, "")
    return typing.cast("Json", parsed)


@functools.cache
def _adapter(name: str) -> TypeAdapter[typing.Any]:
    """Returns the check of a TypedDict, strict about unknown keys at every depth."""
    wanted = operator.attrgetter(name)(stripe.params)
    module = vars(sys.modules[wanted.__module__])
    for value in module.values():
        if typing_extensions.is_typeddict(value):
            value.__pydantic_config__ = _CONFIG
    adapter = TypeAdapter(wanted)
    # The package names these two only for type checkers.
    names = {**vars(typing), **module, "StripeContext": str, "HTTPClient": object}
    adapter.rebuild(_types_namespace=names, force=True)
    return adapter


def _problem(error: ValidationError) -> Problem:
    """Returns Stripe's words for the first finding."""
    first = error.errors(include_url=False)[0]
    steps = [step for step in first["loc"] if _is_key(step)]
    param = str(steps[0]) + "".join(f"[{step}]" for step in steps[1:])
    if first["type"] == "extra_forbidden":
        return _unknown(param)
    if first["type"] == "missing":
        return invalid(f"Missing required param: {param}.", param=param, code="parameter_missing")
    if first["type"].startswith("int_"):
        return _not_an_integer(param, first["input"])
    return invalid(f"Invalid {param}: {first['msg']}", param=param)


def _is_key(step: int | str) -> bool:
    """Tells keys from pydantic's names for the alternatives of a union."""
    return isinstance(step, int) or (step.isidentifier() and step not in {"str", "int", "bool"})


def _unknown(param: str) -> Problem:
    text = f"Received unknown parameter: {param}"
    return invalid(text, param=param, code="parameter_unknown")


def _not_an_integer(param: str, value: object) -> Problem:
    text = f"Invalid integer: {value}"
    return invalid(text, param=param, code="parameter_invalid_integer")


def _check_integers(given: object, parsed: object, path: str) -> None:
    """Refuses ``1.0`` and ``1_000``, which the parser would take for integers and Stripe does not."""
    if isinstance(parsed, dict) and isinstance(given, dict):
        for key, value in parsed.items():
            _check_integers(given[key], value, f"{path}[{key}]" if path else key)
    elif isinstance(parsed, list) and isinstance(given, list):
        for number, value in enumerate(parsed):
            _check_integers(given[number], value, f"{path}[{number}]")
    elif type(parsed) is int and str(parsed) != given:
        raise _not_an_integer(path, given)
