"""What the asset gets: openapi.json and docs.html."""

import json
from pathlib import Path

from infra.openapi.document import document
from infra.openapi.page import render


def as_json() -> str:
    """The document, the same bytes each time."""
    return json.dumps(document(), separators=(",", ":"), ensure_ascii=False)


def write(folder: Path) -> None:
    """Put both files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "openapi.json").write_text(as_json(), "utf-8")
    (folder / "docs.html").write_text(render(document()), "utf-8")
