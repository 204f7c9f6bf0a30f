"""GET /v1/openapi.json and /docs: what the API is, written down when the functions were built. No key is needed."""

from pathlib import Path

from aws_lambda_powertools.event_handler.api_gateway import Response

from handlers._routes import router
from metering.errors import NotFound

# The build puts both files here (infra/openapi), so that serving them costs no import and no computation.
FOLDER = Path(__file__).parent.parent / "portal"

_HEADERS: dict[str, str | list[str]] = {
    "cache-control": "public, max-age=300",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "x-content-type-options": "nosniff",
}


@router.get("/v1/openapi.json", compress=True)
def get_document() -> Response[str]:
    """The OpenAPI 3.1 document of this API."""
    return _built("openapi.json", "application/json")


@router.get("/docs", compress=True)
def get_page() -> Response[str]:
    """The same document as a page to read."""
    return _built("docs.html", "text/html; charset=utf-8")


def _built(name: str, content_type: str) -> Response[str]:
    try:
        body = (FOLDER / name).read_text("utf-8")
    except FileNotFoundError:
        raise NotFound("the document is written when the functions are built: `python -m infra.openapi`") from None
    return Response(200, content_type, body, dict(_HEADERS))
