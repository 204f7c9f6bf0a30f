"""Form bodies and query strings as nested values: ``lines[0][amount]=5`` and its kin."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from .problems import Json, invalid

_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")


def decode(text: str) -> Json:
    """Returns the nested parameters of a form body or a query string; all leaves are strings.

    Raises:
        Problem: a key is malformed or is used as a value and as a group.
    """
    root: Json = {}
    for key, value in parse_qsl(text, keep_blank_values=True):
        matched = _KEY.fullmatch(key)
        if matched is None:
            raise invalid(f"Invalid parameter name: {key}", param=key)
        _place(root, [matched[1], *re.findall(r"\[([^\[\]]*)\]", matched[2])], value)
    return {name: value if name == "metadata" else _listed(value) for name, value in root.items()}


def _place(group: Json, path: list[str], value: str) -> None:
    for step in path[:-1]:
        group = group.setdefault(step or str(len(group)), {})
        if not isinstance(group, dict):
            raise invalid(f"Invalid object: {path[0]}", param=path[0])
    group[path[-1] or str(len(group))] = value


def _listed(value: object) -> object:
    """Returns groups numbered 0, 1, 2 as lists. Metadata keeps its keys, whatever they are."""
    if not isinstance(value, dict):
        return value
    inner = {key: part if key == "metadata" else _listed(part) for key, part in value.items()}
    if sorted(inner) == sorted(str(number) for number in range(len(inner))):
        return [inner[str(number)] for number in range(len(inner))]
    return inner
