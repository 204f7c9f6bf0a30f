"""The document as a page to read: one file without scripts, fonts or pictures, so that it asks for nothing else."""

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from infra.openapi.style import STYLE

Schema = Mapping[str, Any]


def render(document: Schema) -> str:
    """The page; everything that the document says is escaped."""
    info = document["info"]
    operations = list(_operations(document))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(info["title"])} API</title><style>{STYLE}</style></head><body>
<nav aria-label="Contents"><a class="home" href="#top">{escape(info["title"])}</a>{"".join(_contents(document))}</nav>
<main id="top"><h1>{escape(info["title"])} API</h1><p>{_prose(info["description"])}</p>
<p>Keys go into the header <code>x-api-key</code>. This page is made from the
<a href="v1/openapi.json">OpenAPI document</a>.</p>
{"".join(operations)}
<h2 id="schemas">Schemas</h2>{"".join(_schemas(document))}</main></body></html>"""


def _prose(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _each(document: Schema, tag: str) -> Iterator[tuple[str, str, Schema]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"]:
                yield method.upper(), path, operation


def _contents(document: Schema) -> Iterator[str]:
    for tag in document["tags"]:
        links = [
            f'<li><a href="#{escape(operation["operationId"])}"><span class="method {method.lower()}">{method}</span> '
            f"<span>{escape(path).replace('/', '/<wbr>')}</span></a></li>"
            for method, path, operation in _each(document, tag["name"])
        ]
        yield f"<h2>{escape(tag['name'])}</h2><ul>{''.join(links)}</ul>"
    yield '<h2><a href="#schemas">Schemas</a></h2>'


def _operations(document: Schema) -> Iterator[str]:
    for tag in document["tags"]:
        yield f"<h2>{escape(tag['name'])}</h2>"
        for method, path, operation in _each(document, tag["name"]):
            yield _operation(document, method, path, operation)


def _operation(document: Schema, method: str, path: str, operation: Schema) -> str:
    needed = [scope for each in operation["security"] for scopes in each.values() for scope in scopes]
    key = f"A key with <code>{escape(needed[0])}</code>" if needed else "No key"
    described = f"<p>{_prose(operation['description'])}</p>" if "description" in operation else ""
    return f"""<section id="{escape(operation["operationId"])}">
<h3><span class="method {method.lower()}">{method}</span> <code>{escape(path)}</code></h3>
<p>{_prose(operation["summary"])} <span class="key">{key}.</span></p>{described}
{"".join(_parameters(document, operation))}{"".join(_body(operation))}{"".join(_answers(document, operation))}</section>
"""


def _resolved(document: Schema, found: Schema) -> Schema:
    if "$ref" not in found:
        return found
    for step in found["$ref"].removeprefix("#/").split("/"):
        document = document[step]
    return document


def _parameters(document: Schema, operation: Schema) -> Iterator[str]:
    found = [_resolved(document, each) for each in operation.get("parameters", ())]
    if found:
        rows = [
            (
                _name(each["name"], required=each.get("required", False)),
                _kind(each["schema"]),
                _said(each["description"], each["schema"]) if "description" in each else "",
            )
            for each in found
        ]
        yield _table("Parameters", rows)


def _body(operation: Schema) -> Iterator[str]:
    body = operation.get("requestBody")
    if body:
        rows = [(f"<code>{escape(kind)}</code>", _kind(each["schema"]), "") for kind, each in body["content"].items()]
        yield _table("Body", rows)
        if "description" in body:
            yield f"<p>{_prose(body['description'])}</p>"


def _answers(document: Schema, operation: Schema) -> Iterator[str]:
    rows = []
    for status, given in operation["responses"].items():
        answer = _resolved(document, given)
        kinds = dict.fromkeys(_kind(each["schema"]) for each in answer.get("content", {}).values())
        rows.append((f"<code>{status}</code>", " or ".join(kinds), answer["description"]))
    yield _table("Answers", rows)


def _schemas(document: Schema) -> Iterator[str]:
    for name, schema in document["components"]["schemas"].items():
        described = f"<p>{_prose(schema['description'])}</p>" if "description" in schema else ""
        shown = _table("", list(_fields(schema))) if schema.get("properties") else f"<p>{_kind(schema)}</p>"
        yield f'<section id="schema-{escape(name)}"><h3>{escape(name)}</h3>{described}{shown}</section>\n'


def _fields(schema: Schema) -> Iterator[tuple[str, str, str]]:
    required = schema.get("required", ())
    for name, field in schema["properties"].items():
        yield _name(name, required=name in required), _kind(field), _said(field.get("description", ""), field)


def _said(description: str, schema: Schema) -> str:
    if "default" not in schema:
        return description
    default = schema["default"]
    return f"{description} Default: `{default if isinstance(default, str) else json.dumps(default)}`.".strip()


def _name(name: str, *, required: bool) -> str:
    return f"<code>{escape(name)}</code>" + (" <b>required</b>" if required else "")


def _table(title: str, rows: list[tuple[str, str, str]]) -> str:
    caption = f"<caption>{escape(title)}</caption>" if title else ""
    lines = [f'<tr><th scope="row">{name}</th><td>{kind}</td><td>{_prose(said)}</td></tr>' for name, kind, said in rows]
    return f'<div class="wide"><table>{caption}{"".join(lines)}</table></div>'


def _kind(schema: Schema) -> str:
    """What kind of value a schema asks for, in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f'<a href="#schema-{escape(name)}">{escape(name)}</a>'
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return " or ".join(dict.fromkeys(map(_kind, schema[choice])))
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return " ".join(f"<code>{escape(str(value))}</code>" for value in values)
    return _plain_kind(schema)


def _plain_kind(schema: Schema) -> str:
    kinds = schema.get("type", "anything")
    if kinds == "array":
        return f"array of {_kind(schema.get('items', {}))}"
    if kinds == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"object of {_kind(schema['additionalProperties'])}"
    if kinds == "object" and "rows" in schema.get("properties", {}):
        return f"page of {_kind(schema['properties']['rows']['items'])}"
    return " or ".join(escape(each) for each in ([kinds] if isinstance(kinds, str) else kinds))
