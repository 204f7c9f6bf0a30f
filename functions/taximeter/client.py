"""The client: a deployment's API over HTTPS, and how the commands for people find it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

if TYPE_CHECKING:
    import httpx

Json = dict[str, Any]
Query = Mapping[str, str]

Url = Annotated[str, typer.Option(envvar="TAXIMETER_URL", help="The deployment: its output ApiUrl.")]
ApiKey = Annotated[str, typer.Option("--key", envvar="TAXIMETER_API_KEY", help="An API key of the deployment.")]
Port = Annotated[int | None, typer.Option(help="A local cloud instead, by its port.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_ROWS_OF_A_PAGE = 1000


class Refused(RuntimeError):
    """The API did not do what it was asked.

    Attributes:
        status: of HTTP; 0 where no answer came.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Client:
    """One deployment, with one API key."""

    def __init__(self, url: str, key: str) -> None:
        import httpx  # noqa: PLC0415 - a command that talks to nobody need not load it

        self._client = httpx.Client(
            base_url=checked_address(url), headers={"x-api-key": key}, timeout=httpx.Timeout(35, connect=10)
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def call(self, method: str, path: str, body: object = None, query: Query | None = None) -> Any:  # noqa: ANN401 - JSON
        """The answer's JSON; a parameter of the query that is empty is left out.

        Raises:
            Refused: with all that the API says about it.
        """
        import httpx  # noqa: PLC0415 - see above

        given = {name: value for name, value in (query or {}).items() if value}
        try:
            answer = self._client.request(method, path, json=body, params=given)
        except httpx.TransportError as fault:
            raise Refused(f"{self._client.base_url} does not answer: {fault}") from fault
        if not answer.is_success:
            raise Refused(_told(answer), answer.status_code)
        return answer.json()

    def get(self, *steps: str, query: Query | None = None) -> Any:  # noqa: ANN401 - JSON
        """What is at a path, whose steps may hold any character.

        Raises:
            Refused: it cannot be read.
        """
        return self.call("GET", path_of(*steps), query=query)

    def find(self, *steps: str) -> Any | None:  # noqa: ANN401 - JSON
        """What is at a path; None where nothing is.

        Raises:
            Refused: it cannot be read.
        """
        try:
            return self.get(*steps)
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    def rows(self, *steps: str, query: Query | None = None, most: int | None = None) -> Iterator[Json]:
        """The rows of a list, read page by page as they are taken.

        Raises:
            Refused: they cannot be read.
        """
        for page in self.pages(*steps, query=query, most=most):
            yield from page["rows"]

    def pages(self, *steps: str, query: Query | None = None, most: int | None = None) -> Iterator[Json]:
        """The pages of a list, read as they are taken, each with all that it says.

        Raises:
            Refused: they cannot be read.
        """
        limit = _ROWS_OF_A_PAGE if most is None else min(most, _ROWS_OF_A_PAGE)
        following: str | None = ""
        while following is not None:
            page = self.get(*steps, query={**(query or {}), "limit": str(limit), "next": following})
            yield page
            following = page["next"]


def path_of(*steps: str) -> str:
    """A path of the API from its steps, percent-encoded."""
    return "/".join(["/v1", *(quote(step, safe="") for step in steps)])


def checked_address(url: str) -> str:
    """The address of an API to which a key may be sent: encrypted, or on this machine.

    Raises:
        ValueError: the key could be read on its way.
    """
    import httpx  # noqa: PLC0415 - see above

    address = httpx.URL(url)
    local = address.host in _LOOPBACK or address.host.endswith(".localhost")
    if address.scheme != "https" and not (address.scheme == "http" and local):
        raise ValueError("the API key is sent over https only")
    return url


def _told(answer: "httpx.Response") -> str:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or not (body.get("detail") or body.get("message")):
        return f"{answer.url} answers {answer.status_code}"
    if answer.status_code in {401, 403} and "code" not in body:
        return f"this API key may not do that at {answer.url.host}"
    faults = [f"\n  {fault.get('pointer', '')}: {fault.get('detail', '')}" for fault in body.get("errors") or ()]
    return "".join([str(body.get("detail") or body.get("message")), *faults])


def where(url: str, key: str, port: int | None) -> tuple[str, str]:
    """The address of the API, and the key: as given, or those of the local cloud on a port.

    Raises:
        ValueError: neither is given.
        RuntimeError: there is no such local cloud.
    """
    if port is None:
        if not (url and key):
            raise ValueError("where to? give --url and --key (TAXIMETER_URL, TAXIMETER_API_KEY), or --port")
        return url, key
    from infra.local import cloud  # noqa: PLC0415 - the client does not need it

    found = cloud.find(port)
    if found is None:
        raise RuntimeError(f"no local cloud on port {port} was started from this folder: taximeter up")
    return found.api_url, found.admin_key


@contextmanager
def connected(url: str, key: str, port: int | None) -> Iterator[Client]:
    """A client for one command; what goes wrong becomes one line and exit code 1.

    Raises:
        typer.Exit: something went wrong, and was told.
    """
    from taximeter.local import explained  # noqa: PLC0415 - only commands need it

    with explained():
        client = Client(*where(url, key, port))
        try:
            yield client
        finally:
            client.close()
