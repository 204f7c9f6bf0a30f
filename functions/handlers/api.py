"""Every other route of the API: the catalogue, customers, usage, money. The routes are in the files beside this one."""

from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.api_gateway import Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware

from adapters.availability import available
from handlers import (
    _catalogue_routes,
    _credit_routes,
    _customer_routes,
    _document_routes,
    _event_routes,
    _explain_routes,
    _forecast_routes,
    _invoice_list_routes,
    _invoice_routes,
    _quote_routes,
    _session_routes,
    _top_up_routes,
    _usage_routes,
    _wallet_routes,
    _webhook_routes,
)
from handlers._door import answer, logger, problem, refuse, status_of
from handlers._routes import reply, router
from metering.errors import NotFound, TaximeterError

app = APIGatewayHttpResolver()


@router.get("/v1/health")
def get_health() -> Response[str]:
    """That the API answers; no key is needed."""
    return reply({"status": "ok"})


def tell(error: TaximeterError) -> Response[str]:
    """Answer an error of ours as a problem."""
    told = refuse(error)
    headers = {name: value for name, value in told["headers"].items() if name != "content-type"}
    return Response(status_of(error), "application/problem+json", told["body"], headers)


def not_found(_error: NotFoundError) -> Response[str]:
    """Answer a path or method that does not exist."""
    return tell(NotFound("there is no such path or method"))


def patient(app: APIGatewayHttpResolver, route: NextMiddleware) -> Response[str]:
    """Have every route answer 503 with `Retry-After` where a table is too busy, whatever it was about to do there."""
    with available():
        return route(app)


# The modules have added their routes to the router as they were imported.
ROUTES = (
    _catalogue_routes,
    _credit_routes,
    _customer_routes,
    _document_routes,
    _event_routes,
    _explain_routes,
    _forecast_routes,
    _invoice_list_routes,
    _invoice_routes,
    _quote_routes,
    _session_routes,
    _top_up_routes,
    _usage_routes,
    _wallet_routes,
    _webhook_routes,
)
app.include_router(router)
app.use([patient])
app.exception_handler(TaximeterError)(tell)
app.not_found(not_found)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ANN401 - Lambda's context has no public type
    """HTTP API, payload format 2.0."""
    try:
        return app.resolve(event, context)
    except Exception:  # noqa: BLE001 - the last door: nothing may pass it but an answer
        # What is not an error of ours is a fault of ours: it is logged whole and told without its inside.
        logger.exception("unexpected")
        return answer(500, {**problem(TaximeterError("something went wrong on our side", "internal"))})
