"""A catalogue as people keep it: meters, plans and customers in one YAML (or JSON) file."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from billing.customers import Customer
from billing.faults import pointer
from billing.plans import Plan
from billing.plans import misfits as misfits_of
from metering.meters import Meter

Json = dict[str, Any]

KINDS: Mapping[str, tuple[type[BaseModel], str]] = {
    "meters": (Meter, "key"),
    "plans": (Plan, "key"),
    "customers": (Customer, "id"),
}
"""What a catalogue holds, in the order in which it is written: what it is, and what names it."""

# What GET shows, and nobody writes: it may stand in a file, and is not looked at.
_SHOWN = {"meters": "dimensions_since", "plans": "version"}
# Of a request and not of what is kept: it goes along with a change of plan.
_PLAN_EFFECTIVE_AT = "plan_effective_at"


class _Loader(yaml.SafeLoader):
    """YAML in which text stays text: only JSON's own literals are more, so NO is Norway and a time is as written."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: ANN401, FBT001, FBT002 - PyYAML's own signature
        names = [each.value for each, _ in node.value if each.tag != "tag:yaml.org,2002:merge"]
        twice = {name for name in names if isinstance(name, str) and names.count(name) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"{min(twice)!r} is there twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|false", "tf"),
    ("null", r"null|~|", ["n", "~", ""]),
    ("int", r"-?(?:0|[1-9][0-9]{0,14})", "-0123456789"),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), list(_first))


@dataclass(frozen=True, slots=True)
class Entry:
    """One meter, plan or customer of the file.

    Attributes:
        kind: a key of `KINDS`.
        name: its key or id.
        written: as it stands in the file.
        value: what that means, with every default.
        plan_effective_at: from when a change of its plan holds, if the file says so.
    """

    kind: str
    name: str
    written: Json = field(hash=False)
    value: BaseModel
    plan_effective_at: object = None

    def body(self) -> Json:
        """All of it as the API shows it."""
        return self.value.model_dump(mode="json")


def read(text: str) -> list[Entry]:
    """Read a catalogue, in the order in which it is to be written.

    Raises:
        ValueError: with every fault of the file at once.
    """
    try:
        # A loader that only makes plain values, as the safe one does.
        content = yaml.load(text, _Loader)  # noqa: S506 - see above
    except (yaml.YAMLError, RecursionError) as fault:
        raise ValueError(f"the file is not YAML: {fault}") from None
    content = {} if content is None else content
    if not isinstance(content, dict) or not content.keys() <= KINDS.keys():
        raise ValueError("a catalogue has the lists `meters`, `plans` and `customers`, and nothing else")
    entries: list[Entry] = []
    faults: list[str] = []
    for kind in KINDS:
        rows = content.get(kind)
        if not isinstance(rows, list | None):
            faults.append(f"{kind}: must be a list")
            continue
        for place, row in enumerate(rows or ()):
            found = _entry(kind, place, row)
            if isinstance(found, Entry):
                entries.append(found)
            else:
                faults += found
    faults += _repeated(entries)
    if faults:
        raise ValueError("\n".join(faults))
    return entries


def _entry(kind: str, place: int, row: object) -> Entry | list[str]:
    model, naming = KINDS[kind]
    if not isinstance(row, dict):
        return [f"{kind}[{place}]: must be a mapping"]
    written = dict(row)
    written.pop(_SHOWN.get(kind, ""), None)
    effective_at = written.pop(_PLAN_EFFECTIVE_AT, None) if kind == "customers" else None
    try:
        value = model.model_validate(written)
    except ValidationError as errors:
        named = f"{kind}/{row[naming]}" if isinstance(row.get(naming), str) else f"{kind}[{place}]"
        return [f"{named}: {_place(error['loc'])}{_sentence(error['msg'])}" for error in errors.errors()]
    return Entry(kind, str(written[naming]), written, value, effective_at)


def _place(location: tuple[int | str, ...]) -> str:
    return f"{'.'.join(map(str, location))}: " if location else ""


def _sentence(message: str) -> str:
    return message.removeprefix("Value error, ")


def _repeated(entries: list[Entry]) -> Iterator[str]:
    names = [(entry.kind, entry.name) for entry in entries]
    for kind, name in dict.fromkeys(each for each in names if names.count(each) > 1):
        yield f"{kind}/{name}: is there twice"


def misfits(entries: list[Entry], deployed_meters: Mapping[str, Meter]) -> Iterator[str]:
    """What the file's plans ask of meters that neither the file nor the deployment has."""
    meters = dict(deployed_meters) | {entry.name: entry.value for entry in entries if isinstance(entry.value, Meter)}
    for entry in entries:
        if isinstance(entry.value, Plan):
            for where, what in misfits_of(entry.written, meters):
                yield f"plans/{entry.name}: {pointer(where, entry.written)}: {what}"
