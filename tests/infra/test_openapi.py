"""The OpenAPI document by itself, and the page made of it; tests/handlers/test_openapi.py holds it against handlers."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from infra import asset
from infra.openapi.build import as_json, write
from infra.openapi.document import document
from infra.openapi.page import render

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DOCUMENT = document()
OPERATIONS = [
    (method, path, operation) for path, methods in DOCUMENT["paths"].items() for method, operation in methods.items()
]
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]


def every(value: Any) -> Iterator[dict[str, Any]]:
    """All objects of some JSON."""
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from every(each)


def test_the_document_is_made_the_same_each_time() -> None:
    assert as_json() == as_json()
    assert json.loads(as_json()) == DOCUMENT
    assert DOCUMENT["openapi"].startswith("3.1.")


def test_every_reference_leads_somewhere() -> None:
    for found in every(DOCUMENT):
        targets = [found["$ref"]] if isinstance(found.get("$ref"), str) else []
        if isinstance(found.get("discriminator"), dict):
            targets += found["discriminator"]["mapping"].values()
        for target in targets:
            at: Any = DOCUMENT
            for step in target.removeprefix("#/").split("/"):
                at = at[step]


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one_and_is_used(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])
    used = {each["$ref"].rsplit("/", 1)[1] for each in every(DOCUMENT) if isinstance(each.get("$ref"), str)}
    assert name in used
    assert re.fullmatch(r"[A-Za-z]+", name)


def test_an_operation_has_a_name_of_its_own_and_declares_what_its_path_names() -> None:
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(names)) == len(names)
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    for method, path, operation in OPERATIONS:
        declared = [each["name"] for each in operation.get("parameters", ()) if each.get("in") == "path"]
        assert declared == re.findall(r"\{(\w+)\}", path), (method, path)
        assert operation["summary"].endswith("."), (method, path)
        assert set(operation["tags"]) <= tags
        assert any(status.startswith("2") for status in operation["responses"])


def test_keys_are_asked_for_where_the_gateway_asks_for_them() -> None:
    open_doors = {path for _, path, operation in OPERATIONS if not operation["security"]}
    assert open_doors == {"/v1/health", "/v1/openapi.json", "/docs", "/payment/done", "/v1/stripe/webhook"}
    for method, _, operation in OPERATIONS:
        for needed in operation["security"]:
            [scope] = needed["key"]
            assert scope == {"get": "read"}.get(method, "admin") or operation["operationId"] in (
                "post_events",
                "post_what_if",
                "list_keys",
                "list_endpoints",
                "get_endpoint",
                "list_deliveries",
                "post_quote",
            )


class Page(HTMLParser):
    """What a page links to, and what it would ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect."""
        given = dict(attrs)
        self.tags.add(tag)
        self.ids |= {given["id"] or ""} if "id" in given else set()
        self.links |= {given["href"] or ""} if "href" in given else set()
        assert not {"src", "style", "onclick"} & given.keys()
        if tag not in ("meta", "wbr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Every element is closed in its order."""
        assert self.open.pop() == tag


def test_the_page_shows_every_operation_and_schema_and_asks_for_nothing_else() -> None:
    page = Page(render(DOCUMENT))
    assert page.open == []
    assert {operation["operationId"] for _, _, operation in OPERATIONS} <= page.ids
    assert {f"schema-{name}" for name in SCHEMAS} <= page.ids
    assert {link[1:] for link in page.links if link.startswith("#")} <= page.ids
    assert {link for link in page.links if not link.startswith("#")} == {"v1/openapi.json"}
    assert not page.tags & {"script", "img", "link", "iframe"}


def test_whatever_the_document_says_is_escaped() -> None:
    evil = "<script>alert(1)</script>"
    info = {"title": evil, "version": "1", "description": evil}
    field = {"type": evil, "description": evil, "default": evil}
    schemas = {"A": {"description": evil, "properties": {evil: field}}}
    operation = {"operationId": evil, "tags": [evil], "summary": evil, "security": [{"key": [evil]}], "responses": {}}
    said = {
        "info": info,
        "tags": [{"name": evil}],
        "paths": {evil: {"get": operation}},
        "components": {"schemas": schemas},
    }
    assert "<script" not in render(said)


@pytest.mark.deep
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (the package chromium of Debian has it)")
@pytest.mark.parametrize("width", [1280, 500])
def test_a_browser_shows_the_page_whole_at_any_width(tmp_path: Path, width: int) -> None:
    write(tmp_path)
    # A second page frames the first one and writes down what its browser measured.
    measure = """<iframe src="docs.html"></iframe><script>onload=()=>{const inside=document.querySelector('iframe')
      .contentDocument;const page=inside.scrollingElement;document.title=JSON.stringify({width:page.clientWidth,
      needs:page.scrollWidth,sections:inside.querySelectorAll('section').length,
      shown:[...inside.querySelectorAll('section')].every(each=>each.getBoundingClientRect().height>20)})}</script>"""
    style = f"<style>iframe{{width:{width}px;height:900px;border:0}}</style>"
    (tmp_path / "measure.html").write_text(f"<!doctype html><title></title>{style}{measure}", "utf-8")
    command = [
        *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"),
        *("--virtual-time-budget=5000", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"),
        (tmp_path / "measure.html").as_uri(),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)  # noqa: S603 - a browser, our page
    found = re.search(r"<title>(\{.*?\})</title>", done.stdout)
    assert found, done.stdout[:500]
    told = json.loads(found[1])
    assert told["sections"] == len(OPERATIONS) + len(SCHEMAS)
    assert told["shown"]
    assert told["needs"] <= told["width"], "nothing sticks out at the side"


def test_the_asset_carries_what_the_command_writes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "infra.openapi", str(tmp_path)]
    subprocess.run(command, check=True, cwd=ROOT)  # noqa: S603 - our own command, no shell
    portal = asset.build("local") / "portal"
    for name in ("openapi.json", "docs.html"):
        assert (portal / name).read_bytes() == (tmp_path / name).read_bytes()


def test_no_function_computes_the_document() -> None:
    program = "import sys; import handlers.api; print(*sorted(name for name in sys.modules if 'openapi' in name))"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT / "functions")  # noqa: S603 - no shell
    assert "infra.openapi" not in done.stdout
