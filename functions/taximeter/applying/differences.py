"""What applying a catalogue would change: what is written against what is deployed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from taximeter.applying.file import Entry, Json

# What the service fills in by itself, or a customer's own doing does: a file that is silent about it leaves it.
_KEPT = {"customers": ("currency", "starts_at", "stripe_customer"), "meters": ("dimensions_since",)}


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that would change; None where there is none."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Change:
    """One meter, plan or customer that is not yet as the file has it.

    Attributes:
        body: what to PUT.
    """

    kind: str
    name: str
    action: Literal["create", "change"]
    differences: tuple[Difference, ...]
    body: Json

    def as_json(self) -> Json:
        """The change for programs."""
        told = [{"path": each.path, "before": each.before, "after": each.after} for each in self.differences]
        return {"kind": self.kind, "name": self.name, "action": self.action, "differences": told}


def change_of(entry: Entry, deployed: Mapping[str, Any] | None) -> Change | None:
    """What an entry changes; None if it is deployed as it is written."""
    wanted = entry.body()
    if deployed is None:
        shown = tuple(Difference(name, None, wanted[name]) for name in entry.written if name in wanted)
        return Change(entry.kind, entry.name, "create", shown, _request(entry, {}, plan_changes=True))
    silent = [name for name in _KEPT.get(entry.kind, ()) if entry.written.get(name) is None]
    wanted |= {name: deployed.get(name) for name in silent}
    # What a newer deployment shows besides is no difference.
    found = tuple(_between({name: deployed.get(name) for name in wanted}, wanted, ""))
    if not found:
        return None
    plan_changes = any(each.path == "plan" for each in found)
    return Change(entry.kind, entry.name, "change", found, _request(entry, deployed, plan_changes=plan_changes))


def _request(entry: Entry, deployed: Mapping[str, Any], *, plan_changes: bool) -> Json:
    """The entry in full; what the service derives anew from a plan is left to it, and a saved card stays."""
    body = entry.body()
    if entry.kind != "customers":
        return body
    body = {name: value for name, value in body.items() if value is not None}
    if "stripe_customer" not in body and deployed.get("stripe_customer") is not None:
        body["stripe_customer"] = deployed["stripe_customer"]
    if plan_changes and entry.plan_effective_at is not None:
        body["plan_effective_at"] = entry.plan_effective_at
    return body


def _between(before: Any, after: Any, path: str) -> Iterator[Difference]:  # noqa: ANN401 - any JSON
    """The leaves in which two values differ; lists of named things are compared by their names."""
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys([*before, *after]):
            yield from _between(before.get(name), after.get(name), f"{path}.{name}" if path else name)
        return
    old, new = _by_key(before), _by_key(after)
    if old is None or new is None:
        yield Difference(path, before, after)
        return
    if [name for name in old if name in new] != [name for name in new if name in old]:
        yield Difference(f"{path} (order)", list(old), list(new))
    yield from _between(old, new, path)


def _by_key(value: object) -> Json | None:
    """A list of named things as a mapping; None of what is none."""
    if not isinstance(value, list) or not all(isinstance(each, dict) and "key" in each for each in value):
        return None
    return {each["key"]: each for each in value}
