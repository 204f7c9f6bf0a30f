"""A catalogue as people keep it: meters, plans and customers in one YAML (or JSON) file."""

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic import BaseModel

from billing.customers import Customer
from billing.customers import misfits as misfits_of_customer
from billing.fields import list_in
from billing.plans import Plan
from billing.plans import misfits as misfits_of
from metering.errors import Invalid
from metering.faults import pointer, read_model
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


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What a file holds.

    Attributes:
        entries: what can be read of it, in the order in which it is to be written.
        rows: all that was written, by kind, with what each is called in a message.
        faults: what is wrong with it by itself.
    """

    entries: tuple[Entry, ...]
    rows: Mapping[str, Sequence[tuple[str, Json]]]
    faults: tuple[str, ...]

    @property
    def plans_asked_for(self) -> list[str]:
        """The plans that its customers have and that it does not hold, each once."""
        held = {row.get("key") for _, row in self.rows["plans"]}
        asked = (row.get("plan") for _, row in self.rows["customers"])
        return list(dict.fromkeys(plan for plan in asked if isinstance(plan, str) and plan and plan not in held))


def parsed(text: str) -> Any:  # noqa: ANN401 - any JSON
    """The plain values of YAML or JSON, numbers with a point as the text that was written.

    Raises:
        ValueError: it is neither.
    """
    try:
        # A loader that only makes plain values, as the safe one does.
        return yaml.load(text, _Loader)  # noqa: S506 - see above
    except (yaml.YAMLError, RecursionError) as fault:
        raise ValueError(f"the file is not YAML: {fault}") from None


def read(text: str) -> Catalogue:
    """Read a catalogue with all of its faults.

    Raises:
        ValueError: it is no catalogue at all.
    """
    content = parsed(text)
    content = {} if content is None else content
    if not isinstance(content, dict) or not content.keys() <= KINDS.keys():
        raise ValueError("a catalogue has the lists `meters`, `plans` and `customers`, and nothing else")
    entries: list[Entry] = []
    rows: dict[str, list[tuple[str, Json]]] = {kind: [] for kind in KINDS}
    faults = [f"{kind}: must be a list" for kind in KINDS if not isinstance(content.get(kind), list | None)]
    for kind in KINDS:
        for place, row in enumerate(list_in(content.get(kind))):
            if not isinstance(row, dict):
                faults.append(f"{kind}[{place}]: must be a mapping")
                continue
            named = row.get(KINDS[kind][1])
            called = f"{kind}/{named}" if isinstance(named, str) else f"{kind}[{place}]"
            rows[kind].append((called, row))
            try:
                entries.append(_entry(kind, row))
            except Invalid as found:
                faults += [_told(called, fault.pointer, fault.detail) for fault in found.faults]
    return Catalogue(tuple(entries), rows, (*faults, *_repeated(rows)))


def _entry(kind: str, row: Json) -> Entry:
    model, naming = KINDS[kind]
    written = dict(row)
    written.pop(_SHOWN.get(kind, ""), None)
    effective_at = written.pop(_PLAN_EFFECTIVE_AT, None) if kind == "customers" else None
    value = read_model(model, written)
    return Entry(kind, str(written[naming]), written, value, effective_at)


def _told(called: str, where: str, what: str) -> str:
    return f"{called}: {where}: {what}" if where else f"{called}: {what}"


def _repeated(rows: Mapping[str, Sequence[tuple[str, Json]]]) -> Iterator[str]:
    for kind, (_, naming) in KINDS.items():
        names = [row[naming] for _, row in rows[kind] if isinstance(row.get(naming), str)]
        for name in dict.fromkeys(each for each in names if names.count(each) > 1):
            yield f"{kind}/{name}: is there twice"


def misfits(catalogue: Catalogue, meters: Mapping[str, Meter], plans: Container[str]) -> Iterator[str]:
    """What the file asks for that neither it nor the deployment has.

    Args:
        catalogue: the file.
        meters: those that are deployed.
        plans: of the `plans_asked_for` those that are deployed.
    """
    held: dict[str, Meter | None] = dict(meters)
    held |= {str(row.get("key")): None for _, row in catalogue.rows["meters"]}
    held |= {entry.name: entry.value for entry in catalogue.entries if isinstance(entry.value, Meter)}
    for called, row in catalogue.rows["plans"]:
        for where, what in misfits_of(row, held):
            yield _told(called, pointer(where, row), what)
    asked = set(catalogue.plans_asked_for)
    for called, row in catalogue.rows["customers"]:
        for where, what in misfits_of_customer(row, held):
            yield _told(called, pointer(where, row), what)
        plan = row.get("plan")
        if isinstance(plan, str) and plan in asked and plan not in plans:
            yield _told(called, "/plan", f"there is no plan {plan}")
