"""The local cloud: MiniStack and the Stripe stand-in as children on loopback, with the template deployed to them.

Everything a cloud leaves on disk lies in its state folder, `HOME/PORT`, and goes with it.
"""

import json
import os
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from adapters.dynamo import DynamoTable
from adapters.keys import SCOPES, Keys
from infra.local import deployment, processes
from infra.local.processes import Process

HOME = Path(".taximeter")
PORT = 4566

_ROOT = Path(__file__).resolve().parents[2]
# What the machine's environment may say to the AWS libraries, to MiniStack or to our functions must not reach them.
_FOREIGN = ("AWS_", "GATEWAY_", "EDGE_", "LAMBDA_", "LOCALSTACK_", "MINISTACK_", "POWERTOOLS_")


@dataclass(frozen=True, slots=True)
class Cloud:
    """A running local cloud.

    Attributes:
        port: Where MiniStack listens; the cloud's name.
        api_url: The deployed API, at an address that any client can resolve.
        admin_key: An API key with every scope.
        endpoint_url: The AWS endpoint; its root's access key and secret are both `test`.
        stripe_url: The Stripe stand-in.
        stripe_api_key: The key that the deployment uses there.
        outputs: The outputs of the deployed stacks.
    """

    port: int
    api_url: str
    admin_key: str
    endpoint_url: str
    stripe_url: str
    stripe_api_key: str
    outputs: Mapping[str, str]

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
        """A boto3 client of this cloud, as its account's root."""
        return deployment.client(service, self.endpoint_url)

    def table(self, name: str) -> DynamoTable:
        """One of this cloud's tables: `Catalog`, `Events`, `Usage` or `Ledger`."""
        return DynamoTable(self.outputs[f"{name}Table"], self.client("dynamodb"))

    def api(self) -> httpx.Client:
        """An HTTP client of the deployed API, with the admin key."""
        return httpx.Client(base_url=self.api_url, headers={"x-api-key": self.admin_key}, timeout=60)


def start(
    port: int = PORT,
    *,
    home: Path = HOME,
    attached: bool = True,
    context: Mapping[str, object] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Cloud:
    """Start a cloud and wait until it answers; nothing is left behind when that fails.

    Args:
        port: The port of MiniStack.
        home: Where the state folder is made.
        attached: Whether the cloud ends when this process does.
        context: Deployment settings that differ from the local defaults.
        say: Told what happens, in one line each.

    Raises:
        RuntimeError: The port is taken, or a part did not come up.
    """
    if any(process.alive for process in _remembered(port, home)):
        message = f"a local cloud is already running on port {port}"
        raise RuntimeError(message)
    stop(port, home=home)
    if processes.listening(port):
        message = f"port {port} is taken by another program"
        raise RuntimeError(message)
    folder = _folder(port, home)
    (folder / "tmp").mkdir(parents=True)
    try:
        return _bring_up(port, folder, attached, context or {}, say)
    except BaseException:
        stop(port, home=home)
        raise


def find(port: int = PORT, *, home: Path = HOME) -> Cloud | None:
    """The cloud on a port, or None when there is none that is complete and alive."""
    children = _remembered(port, home)
    if not children or not all(child.alive for child in children):
        return None
    known = json.loads((_folder(port, home) / "cloud.json").read_text())["cloud"]
    return Cloud(**known) if known else None


def stop(port: int = PORT, *, home: Path = HOME) -> bool:
    """End the cloud on a port, whatever is left of it, and remove its state folder.

    Returns:
        Whether there was anything to end or remove.
    """
    folder = _folder(port, home)
    processes.end(_remembered(port, home))
    existed = folder.exists()
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # another cloud's folder is still in it, or it never was
        home.rmdir()
    return existed


def _bring_up(
    port: int,
    folder: Path,
    attached: bool,  # noqa: FBT001 - passed on
    context: Mapping[str, object],
    say: Callable[[str], None],
) -> Cloud:
    stripe_port = processes.free_port()
    endpoint_url, stripe_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{stripe_port}"
    environment = _environment(port, folder)
    modules = {
        "emulator": ["infra.local.emulator", "--port", str(port)],
        "stripe": ["infra.local.stripe", "--port", str(stripe_port)],
    }
    say("starting MiniStack and the Stripe stand-in")
    children: list[Process] = []
    for name, module in modules.items():
        children.append(processes.spawn(name, module, folder=folder, environment=environment, attached=attached))
        _remember(folder, children, None)
    say("synthesising the template")
    apis_url = f"{endpoint_url}/_aws/execute-api"
    addresses = {"stripe_url": stripe_url, "api_url": apis_url}
    settings = {"local": True, **addresses, "top_up_delay_seconds": 1, **context}
    deployment.synthesise(settings, folder / "assembly", environment)
    for child, child_port in zip(children, (port, stripe_port), strict=True):
        processes.wait_for(child, child_port)
    say("deploying the stacks")
    outputs = deployment.deploy(folder / "assembly", endpoint_url)
    api_url = f"{apis_url}/{outputs['ApiId']}"
    admin_key = f"tx_{secrets.token_urlsafe(32)}"
    stripe_api_key = f"sk_test_local{secrets.token_hex(16)}"
    cloud = Cloud(port, api_url, admin_key, endpoint_url, stripe_url, stripe_api_key, outputs)
    _hand_over_keys(cloud)
    say("waking the functions")
    _wake(cloud)
    _remember(folder, children, cloud)
    return cloud


def _folder(port: int, home: Path) -> Path:
    return home.resolve() / str(port)


def _environment(port: int, folder: Path) -> dict[str, str]:
    """The environment of the children: the machine's, less what is not meant for them."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return inherited | {
        "AUTH": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "PYTHONPATH": str(_ROOT),
        "S3_DATA_DIR": str(folder / "tmp"),
        "SFTP_ENABLED": "0",
        "STATE_DIR": str(folder / "tmp"),
        "TMPDIR": str(folder / "tmp"),
    }


def _remember(folder: Path, children: Sequence[Process], cloud: Cloud | None) -> None:
    state = {
        "processes": {child.name: child.pid for child in children},
        "cloud": asdict(cloud) if cloud else None,
    }
    written = folder / "cloud.json.new"
    written.touch(mode=0o600)
    written.write_text(json.dumps(state))
    written.replace(folder / "cloud.json")


def _remembered(port: int, home: Path) -> list[Process]:
    folder = _folder(port, home)
    try:
        state = json.loads((folder / "cloud.json").read_text())
    except FileNotFoundError:
        return []
    return [Process(name, pid, folder) for name, pid in state["processes"].items()]


def _hand_over_keys(cloud: Cloud) -> None:
    """Keep the admin key's hash in the catalogue, and let the deployment and the stand-in know each other."""
    Keys(cloud.table("Catalog")).store("local-admin", cloud.admin_key, SCOPES)
    answer = httpx.post(
        f"{cloud.stripe_url}/v1/webhook_endpoints",
        data={"url": f"{cloud.api_url}/v1/stripe/webhook", "enabled_events[0]": "*"},
        headers={"authorization": f"Bearer {cloud.stripe_api_key}"},
    )
    answer.raise_for_status()
    vault, name = cloud.client("secretsmanager"), cloud.outputs["StripeSecretArn"]
    # The rest of it stays: webhooks are signed with a key that was made with the secret.
    keys = json.loads(vault.get_secret_value(SecretId=name)["SecretString"])
    keys |= {
        "stripe_api_key": cloud.stripe_api_key,
        "stripe_webhook_secrets": [answer.json()["secret"]],
    }
    vault.put_secret_value(SecretId=name, SecretString=json.dumps(keys))


def _wake(cloud: Cloud) -> None:
    """Start one environment of every function, so that the first request is not the slow one.

    Raises:
        RuntimeError: A function cannot be loaded, or the API's health check does not answer 200.
    """
    names = ("Pair", "Aggregate", "Rate", "Relay", "TopUp", "Collect", "Invoice", "StripeEvents", "Notify")
    with cloud.api() as api, ThreadPoolExecutor(max_workers=3) as pool:
        healthy = pool.submit(api.get, "/v1/health")
        pool.submit(api.post, "/v1/events", json=[])
        faults = [fault for fault in pool.map(lambda name: _fault(cloud, name), names) if fault]
        answer = healthy.result()
    if answer.status_code != httpx.codes.OK:
        faults.append(f"the health check answers {answer.status_code} {answer.text}")
    if faults:
        raise RuntimeError("\n".join(["the deployment is not well:", *faults]))


def _fault(cloud: Cloud, name: str) -> str | None:
    """What a function says that fails on an empty batch; None when it does not."""
    answer = cloud.client("lambda").invoke(
        FunctionName=cloud.outputs[f"{name}Function"], Payload=json.dumps({"Records": []})
    )
    return f"{name}: {answer['Payload'].read().decode()}" if "FunctionError" in answer else None
