"""The diagram of an invoice's states is the one of their table."""

from billing.invoices import TRANSITIONS
from infra.invoice_states import PAGE, diagram, drawn


def test_the_diagram_of_the_states_is_drawn_from_their_table() -> None:
    page = PAGE.read_text("utf-8")
    assert diagram() in page, "run `python -m infra.invoice_states`"
    assert drawn(page) == page
    moves = {(status, each) for status, following in TRANSITIONS.items() for each in following}
    assert all(f"    {status} --> {each}\n" in diagram() for status, each in moves)
    assert diagram().count("-->") == len(moves) + 2  # where it begins, and where nothing follows
