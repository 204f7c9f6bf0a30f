"""POST /v1/quotes: what some usage would cost. Contract: api.md, Plans."""

from aws_lambda_powertools.event_handler.api_gateway import Response

from billing.plans import Plan
from billing.quotes import QuoteRequest, quote
from handlers import _live
from handlers._routes import needs, read_body, reply, router
from metering.errors import Fault, Invalid
from metering.faults import read_model


@router.post("/v1/quotes")
@needs("read")
def post_quote() -> Response[str]:
    """What usage would cost on a plan.

    One full, finished period, without a customer, credits or tax; nothing is kept.
    """
    request = read_model(QuoteRequest, read_body())
    catalog = _live.live.catalog
    plan = request.plan if isinstance(request.plan, Plan) else catalog.plan(request.plan)[0]
    rated = {item.meter for item in plan.items}
    others = {place: row.meter for place, row in enumerate(request.usage) if row.meter and row.meter not in rated}
    known = catalog.meters() if others else {}
    faults = [
        Fault(f"/usage/{place}/meter", f"there is no meter {meter}, and the plan names none")
        for place, meter in others.items()
        if meter not in known
    ]
    if faults:
        raise Invalid("the usage does not fit the plan", faults=faults)
    return reply(quote(plan, request.usage).as_json())
