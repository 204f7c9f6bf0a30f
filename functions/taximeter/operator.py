"""What an operator does to a deployment with AWS credentials: the first API key, and records that were parked.

What talks to AWS is imported when a command is called: the client needs none of it.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from adapters.items import Item
    from adapters.outbox import Outbox

Name = Annotated[str, typer.Option(help="The deployment: the context `name` that it was deployed with.")]
Port = Annotated[int | None, typer.Option(help="A local cloud instead of AWS, by its port.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

_LONGEST_CALL_SECONDS = 900

keys = typer.Typer(help="API keys of a deployment, made with AWS credentials.", no_args_is_help=True)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployed Taximeter, found by the outputs of its stacks."""

    name: str
    session: Any
    endpoint: str | None

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3's clients are made at run time
        """A client of an AWS service."""
        return self.session.client(service, endpoint_url=self.endpoint)

    def output(self, stack: str, key: str) -> str:
        """An output of the stack `Data` or `Service`."""
        found = self.client("cloudformation").describe_stacks(StackName=f"{self.name}{stack}")["Stacks"][0]
        return str(next(each["OutputValue"] for each in found["Outputs"] if each["OutputKey"] == key))

    def table(self, key: str) -> Any:  # noqa: ANN401 - the adapters are imported when they are used
        """One of the tables, by its output."""
        from adapters.dynamo import DynamoTable  # noqa: PLC0415 - see the module's docstring

        return DynamoTable(self.output("Data", key), self.client("dynamodb"))

    def settings(self, title: str) -> dict[str, str]:
        """The environment that a function was deployed with."""
        name = self.output("Service", f"{title}Function")
        found = self.client("lambda").get_function_configuration(FunctionName=name)
        return dict(found["Environment"]["Variables"])

    def caller(self, title: str) -> Callable[[object], str | None]:
        """Gives events to a function and waits; None if it took one, else what it failed with."""
        from botocore.config import Config  # noqa: PLC0415 - see the module's docstring

        name = self.output("Service", f"{title}Function")
        # Longer than any function may take, so that none is called again while it works.
        patient = Config(read_timeout=_LONGEST_CALL_SECONDS)
        client = self.session.client("lambda", endpoint_url=self.endpoint, config=patient)

        def call(event: object) -> str | None:
            answer = client.invoke(FunctionName=name, Payload=json.dumps(event))
            return answer["Payload"].read().decode() if "FunctionError" in answer else None

        return call


def deployment(name: str, port: int | None) -> Deployment:
    """The deployment of a name in the account of the AWS credentials, or the one on a local cloud."""
    import boto3  # noqa: PLC0415 - see the module's docstring

    if port is None:
        return Deployment(name, boto3.Session(), None)
    local = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")  # noqa: S106 - the local cloud's own
    return Deployment(name, local, f"http://127.0.0.1:{port}")


@keys.command("create")
def create_key(
    *,
    identity: Annotated[str, typer.Option("--id", help="What to call it.")] = "first",
    scopes: Annotated[str, typer.Option(help="Some of ingest, read, admin; with commas.")] = "admin",
    name: Name = "Taximeter",
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key and show it, this once; only its hash is kept."""
    from adapters.items import ConditionFailed  # noqa: PLC0415 - see the module's docstring
    from adapters.keys import SCOPES, Keys  # noqa: PLC0415 - see the module's docstring

    wanted = [scope.strip() for scope in scopes.split(",")]
    if not set(wanted) <= set(SCOPES):
        raise typer.BadParameter(f"scopes are {', '.join(SCOPES)}")
    try:
        key = Keys(deployment(name, port).table("CatalogTable")).create(identity, wanted)
    except ConditionFailed:
        raise typer.BadParameter(f"there is a key {identity!r} already") from None
    typer.echo(json.dumps({"id": identity, "scopes": wanted, "key": key}) if as_json else key)


def parked(*, name: Name = "Taximeter", port: Port = None, as_json: AsJson = False) -> None:
    """List the records that could not be processed, with the reasons."""
    for item in _parked(deployment(name, port)):
        told = {part: str(item[part]) for part in ("function", "pk", "reason", "record")}
        typer.echo(json.dumps(told) if as_json else f"{told['function']}  {told['pk']}  {told['reason']}")


def redrive(*, name: Name = "Taximeter", port: Port = None) -> None:
    """Give every parked record to its function again; what fails again stays parked."""
    found = deployment(name, port)
    outbox = _outbox(found)
    waiting = _parked(found)
    for item in waiting:
        if _processed(found, item):
            outbox.unpark(item)
    left = {(item["pk"], item["sk"]) for item in _parked(found)}
    done = sum((item["pk"], item["sk"]) not in left for item in waiting)
    typer.echo(f"{done} processed, {len(left)} still parked")
    if left:
        raise typer.Exit(1)


def _outbox(found: Deployment) -> "Outbox":
    from adapters.outbox import Outbox  # noqa: PLC0415 - see the module's docstring

    return Outbox(found.table("LedgerTable"))


def _parked(found: Deployment) -> "list[Item]":
    return _outbox(found).all_parked(1 << 52)


def _processed(found: Deployment, item: "Item") -> bool:
    """Whether a function took its record this time; one that parks it again writes its item anew."""
    title = "".join(part.title() for part in str(item["function"]).split("_"))
    event = {"Records": [json.loads(str(item["record"]))], "at_once": True}
    if found.caller(title)(event) is not None:
        return False
    current = found.table("LedgerTable").get(item["pk"], item["sk"])
    return bool(current and current["parked_at"] == item["parked_at"])
