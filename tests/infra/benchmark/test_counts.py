"""What events cost, in units: exact, and the same each time. What becomes dearer shows here, and what becomes cheaper.

To read it: the counts of two samples (across the end of an hour, and in the middle of one) of a few minutes of traffic.
When it is cheaper, write the new figures down; when it is dearer, say why, or find what can be saved.
"""

from dataclasses import replace

import pytest

from infra.benchmark.costs import total
from infra.benchmark.run import Measured, measure
from infra.benchmark.shapes import SHAPES

KNOWN = {shape.key: shape for shape in SHAPES}

# The shapes, small enough for a quick suite: each keeps what one customer does, only fewer do it, or less often.
SMALL = {
    "bulk": replace(KNOWN["bulk"], every_milliseconds=5000, minutes=2),
    "mixed": replace(KNOWN["mixed"], customers=3, customers_a_request=3, minutes=2),
    "single": replace(KNOWN["single"], minutes=2),
    "prepaid": replace(KNOWN["prepaid"], customers=10, every_milliseconds=6000, minutes=2),
    "sessions": replace(KNOWN["sessions"], events_each=5, minutes=2),
}


_COLUMNS = ("invocations", "table requests")

# By function: how often it was invoked, its requests to tables, and the units that it wrote and read.
EXPECTED = {
    "bulk": """
aggregate    46   147  read Catalog 8, read Events 227, read Usage 46, write Usage 46
authorize     4     4  read Catalog 4
gateway       0     0  http requests 48
ingest       48    64  read Catalog 16, write Events 144
invoice       1    22  read Ledger 11.0
rate         48   288  read Catalog 62, read Ledger 67.0, read Usage 92, write Ledger 49
""",
    "mixed": """
aggregate   126   424  read Catalog 22, read Events 336, read Usage 138, write Usage 138
authorize     4     4  read Catalog 4
gateway       0     0  http requests 240
ingest      240   256  read Catalog 32, write Events 720
invoice       1    22  read Ledger 11.0
rate         94   764  read Catalog 170, read Ledger 159.0, read Usage 276, write Ledger 147
""",
    "single": """
aggregate    46   146  read Catalog 8, read Events 100, read Usage 46, write Usage 46
authorize     4     4  read Catalog 4
gateway       0     0  http requests 240
ingest      240   256  read Catalog 16, write Events 240
invoice       1    22  read Ledger 11.0
rate         48   288  read Catalog 62, read Ledger 67.0, read Usage 92, write Ledger 49
""",
    "prepaid": """
aggregate    38   130  read Catalog 16, read Events 87, read Usage 38, write Usage 38
authorize     4     4  read Catalog 4
gateway       0     0  http requests 40
ingest       40    88  read Catalog 48, write Events 40
invoice       1    22  read Ledger 11.0
rate         40   260  read Catalog 66, read Ledger 59.0, read Usage 76, write Ledger 68
""",
    "sessions": """
aggregate    49   233  read Catalog 9, read Events 302, read Usage 98, write Events 9, write Usage 124
authorize     4     4  read Catalog 4
gateway       0     0  http requests 240
ingest      240   256  read Catalog 16, write Events 2394
invoice       1    22  read Ledger 11.0
pair        188  2599  read Catalog 64, read Events 2318, write Events 255
rate         50   302  queue requests 6, read Catalog 68, read Ledger 69.0, read Usage 96, write Ledger 51
""",
}


def told(measured: Measured) -> str:
    """The counts of both samples as a table: a function a row."""
    counts = measured.boundary.counts + measured.middle.counts
    rows = []
    for function in sorted({function for function, _ in counts}):
        invoked, asked = counts[function, "invocations"], counts[function, "table requests"]
        others = sorted(what for name, what in counts if name == function and what not in _COLUMNS)
        units = ", ".join(f"{what} {counts[function, what]:g}" for what in others)
        rows.append(f"{function:<9} {invoked:>5} {asked:>5}  {units}")
    return "\n".join(rows)


@pytest.mark.parametrize("key", SMALL)
def test_what_events_cost_is_what_is_written_here(key: str) -> None:
    assert told(measure(SMALL[key])) == EXPECTED[key].strip()


@pytest.mark.deep
def test_a_longer_freshness_gathers_more_and_costs_less() -> None:
    shape = SMALL["single"]
    writes = [measure(shape, seconds).million(lambda sample: total(sample, "write")) for seconds in (1, 5, 10)]
    assert writes == sorted(writes, reverse=True)
    assert writes[0] > writes[2]
