"""A browser that prints and measures pages: Chromium, where the machine has it."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed (Debian: apt-get install chromium)"
)

_QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
# Frames a page at a width, and writes down what its browser makes of it.
_MEASURE = """<!doctype html><title></title><style>body{margin:0}iframe{width:%dpx;height:900px;border:0}</style>
<iframe src="page.html"></iframe><script>onload=()=>{const inside=document.querySelector('iframe').contentDocument;
const page=inside.scrollingElement;const all=[...inside.body.querySelectorAll('*')];
const told={width:page.clientWidth,needs:page.scrollWidth,scripts:inside.scripts.length,
text:inside.body.innerText,hidden:all.filter(each=>each.textContent.trim()&&!each.getBoundingClientRect().height).length,
outside:all.filter(each=>each.getBoundingClientRect().right>page.clientWidth+1).length,
asked:document.querySelector('iframe').contentWindow.performance.getEntriesByType('resource').length};
const kept=document.createElement('script');kept.type='application/json';kept.id='told';
kept.textContent=JSON.stringify(told).replaceAll('<','\\\\u003c');document.body.append(kept)}</script>"""


def _run(folder: Path, *given: str) -> str:
    command = [str(CHROMIUM), *_QUIET, f"--user-data-dir={folder / 'profile'}", *given]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)  # noqa: S603 - a browser, our page
    return done.stdout


def measured(page: str, width: int, folder: Path) -> dict[str, Any]:
    """What a browser makes of a page at a width: its text, what it needs, what is hidden or sticks out."""
    (folder / "page.html").write_text(page, "utf-8")
    (folder / "measure.html").write_text(_MEASURE % width, "utf-8")
    address = (folder / "measure.html").as_uri()
    dom = _run(folder, "--allow-file-access-from-files", "--virtual-time-budget=5000", "--dump-dom", address)
    found = re.search(r'id="told">(.*?)</script>', dom, re.DOTALL)
    assert found, dom[:500]
    told: dict[str, Any] = json.loads(found[1])
    return told


def printed(page: str, paper: str, folder: Path) -> tuple[int, tuple[int, int]]:
    """How many pages it has on paper, and how large these are, in points."""
    (folder / "page.html").write_text(page.replace("</style>", f"@page{{size:{paper}}}</style>"), "utf-8")
    made = folder / "page.pdf"
    _run(folder, "--no-pdf-header-footer", f"--print-to-pdf={made}", (folder / "page.html").as_uri())
    content = made.read_bytes()
    boxes = re.findall(rb"/MediaBox\s*\[0 0 ([\d.]+) ([\d.]+)\]", content)
    width, height = {(round(float(across)), round(float(down))) for across, down in boxes}.pop()
    return len(boxes), (width, height)
