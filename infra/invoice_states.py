"""The diagram of an invoice's states, drawn from their table: `python -m infra.invoice_states` puts it into the README.

Mermaid, between two marks in functions/billing/README.md.
"""

import re
from pathlib import Path

from billing.invoices import TRANSITIONS

PAGE = Path(__file__).parents[1] / "functions" / "billing" / "README.md"
_BETWEEN = re.compile(
    r"(?<=<!-- drawn by `python -m infra\.invoice_states` -->\n).*?(?=<!-- end of the drawing -->)", re.DOTALL
)


def diagram() -> str:
    """The table `TRANSITIONS` as Mermaid draws it: the beginning, every move, and where nothing follows."""
    moves = ["[*] --> draft"]
    for status, following in TRANSITIONS.items():
        moves += [f"{status} --> {each}" for each in TRANSITIONS if each in following]
        moves += [] if following else [f"{status} --> [*]"]
    return "\n".join(["```mermaid", "stateDiagram-v2", *(f"    {move}" for move in moves), "```", ""])


def drawn(page: str) -> str:
    """A page with the diagram between its marks."""
    return _BETWEEN.sub(lambda _: diagram(), page)


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text("utf-8")), "utf-8")
