"""Reading a synthesised template: its resources by kind and name, and what points at what."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Template = Mapping[str, Any]


def read(assembly: Path, stack: str) -> Template:
    template: Template = json.loads((assembly / f"{stack}.template.json").read_text("utf-8"))
    return template


def of_type(template: Template, kind: str) -> dict[str, Any]:
    return {
        name: resource["Properties"] for name, resource in template["Resources"].items() if resource["Type"] == kind
    }


def named(template: Template, kind: str, name: str) -> dict[str, Any]:
    """The only resource of a kind whose logical id is a name and a hash."""
    [found] = [
        properties
        for identifier, properties in of_type(template, kind).items()
        if re.fullmatch(rf"(?:Pipeline|Money|Webhooks|Api|Messages)?{name}[0-9A-F]{{8}}", identifier)
    ]
    return dict(found)


def functions(service: Template) -> dict[str, tuple[str, dict[str, Any]]]:
    """Every function's logical id and properties, by the name of its handler's file."""
    found = {}
    for identifier, properties in of_type(service, "AWS::Lambda::Function").items():
        module, name, call = properties["Handler"].split(".")
        assert (module, call) == ("handlers", "handler")
        found[name] = (identifier, properties)
    return found


def mappings(service: Template, source: str) -> dict[str, dict[str, Any]]:
    """The event source mappings of one kind of source, by the function that they feed."""
    names = {identifier: name for name, (identifier, _) in functions(service).items()}
    return {
        names[properties["FunctionName"]["Ref"]]: properties
        for properties in of_type(service, "AWS::Lambda::EventSourceMapping").values()
        if label(properties["EventSourceArn"]).endswith("/stream") == (source == "stream")
    }


def label(resource: object) -> str:
    """A short name for what an IAM statement or a mapping points at."""
    text = json.dumps(resource)
    across = re.search(
        r"PublishOutput(?:FnGetAtt|Ref)(Catalog|Events|Usage|Ledger|FailedRecords|Stripe)"
        r"(?:[0-9A-F]{8})?(StreamArn)?",
        text,
    )
    if across is None:
        within = re.search(r'"(?:Fn::GetAtt": \[)?"?(?:Messages)?(\w+?)[0-9A-F]{8}"', text)
        return within.group(1) if within else text
    rest = re.search(r'"(/\*|index/\w+)"', text)
    suffix = rest.group(1).removeprefix("/") if rest else ""
    parts = [across.group(1), "stream" if across.group(2) else "", suffix]
    return "/".join(part for part in parts if part)


def statements(service: Template, role: str) -> Iterator[tuple[set[str], list[Any]]]:
    """The actions and resources that a role is allowed."""
    for policy in of_type(service, "AWS::IAM::Policy").values():
        if {"Ref": role} not in policy["Roles"]:
            continue
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Allow"
            yield set(many(statement["Action"])), many(statement["Resource"])


def many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
