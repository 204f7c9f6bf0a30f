"""MiniStack as a process of its own, which also says whether it is at rest.

Run as `python -m infra.local.emulator --port N` with the environment that `infra.local.cloud` gives it:
MiniStack reads its settings when it is imported. Over MiniStack's own application this adds

- `GET /_taximeter/pending`: how much is still on its way through streams, queues and functions. No API of
  AWS tells how far a stream's consumer has come, and without it "wait until quiet" would be a guess;
- request bodies that come with a `content-encoding` reach functions as base64, as on AWS, instead of as text with
  every byte that is not UTF-8 replaced;
- a request counts as one over TLS, which nobody speaks on loopback: policies that deny plain HTTP stay in the template;
- `sqs:SendMessage` allows a batch too, as on AWS, where no action `SendMessageBatch` exists;
- an event on the bus has the `Time` that its entry says, as on AWS, instead of the moment in which it was put there;
- HTTP is parsed by a server written in C: under MiniStack's own each request costs twice as much;
- an invocation does not wait 50 ms for log lines that a quiet function never writes;
- an asset is extracted once and not for each of its environments, five thousand files a time;
- an expression is parsed once, and a Query by keys compares them. MiniStack parses it anew for every item of the
  partition, 0.1 ms each, which made reading a customer's month take 50 ms and a year half a second.
"""

import argparse
import contextvars
import functools
import hashlib
import json
import re
import tempfile
import threading
import zipfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import uvicorn
from ministack.app import app as ministack  # type: ignore[import-untyped]  # has no types
from ministack.core import iam_actions, lambda_runtime  # type: ignore[import-untyped]  # has no types
from ministack.core.responses import request_scope  # type: ignore[import-untyped]  # has no types
from ministack.services import (  # type: ignore[import-untyped]  # has no types
    apigateway,
    dynamodb,
    eventbridge,
    lambda_svc,
    sqs,
)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
"""What ASGI calls so."""

_encoded_body: contextvars.ContextVar[bool] = contextvars.ContextVar("encoded_body", default=False)
_times_of_entries: contextvars.ContextVar[Iterator[float | None]] = contextvars.ContextVar("times_of_entries")


def pending() -> dict[str, int]:
    """What is under way.

    `streamed` counts records that a consumer has not passed, `queued` messages of queues that have one, `running`
    the functions at work; all zero is rest. `records` counts every change that any stream ever carried, so that two
    equal readings mean that nothing was written between them.
    """
    streamed = queued = 0
    for account, region, mapping in lambda_svc._iter_all_esms():
        with request_scope(account, region):
            source = str(mapping["EventSourceArn"])
            if ":dynamodb:" in source:
                streamed += _behind(mapping["UUID"], source.split("/")[1])
            elif queue := sqs._queue_by_arn(source):
                queued += len(queue["messages"])
    running, _ = lambda_svc.executions_in_flight()
    # What a rule calls has a thread of its own, from before it counts as in flight.
    running += sum("_execute_function" in thread.name for thread in threading.enumerate())
    records = int(dynamodb._stream_seq_counter)
    return {"streamed": streamed, "queued": queued, "running": running, "records": records}


def _behind(mapping: str, table: str) -> int:
    """How many records of a table's stream its consumer has yet to pass."""
    start = dynamodb.stream_start_position(table)
    position = max(start, lambda_svc._dynamodb_stream_positions.get(mapping, start))
    return int(dynamodb.stream_end_position(table) - position)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """MiniStack's ASGI application, and the one question more."""
    if scope["type"] == "http":
        if scope["path"] == "/_taximeter/pending":
            await _answer(send, pending())
            return
        scope["scheme"] = "https"
        _encoded_body.set(any(name == b"content-encoding" for name, _ in scope["headers"]))
    await ministack(scope, receive, send)


async def _answer(send: Send, body: dict[str, int]) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


def _amend() -> None:
    """Make the amendments to functions that the module's docstring names."""
    is_text = apigateway._v2_request_body_is_text
    apigateway._v2_request_body_is_text = lambda content_type: not _encoded_body.get() and is_text(content_type)
    action_of = iam_actions.extract_iam_action
    iam_actions.extract_iam_action = lambda *request: _allowed_by(action_of(*request))
    put_events, real_now = eventbridge._put_events, eventbridge._now_ts
    eventbridge._put_events = functools.partial(_put_with_times, put_events)
    eventbridge._now_ts = lambda: next(_times_of_entries.get(iter(())), None) or real_now()
    dynamodb._tokenize = functools.cache(dynamodb._tokenize)
    dynamodb._condition_syntax_error = functools.cache(dynamodb._condition_syntax_error)
    dynamodb._evaluate_condition = functools.partial(_holds, dynamodb._evaluate_condition)
    lambda_runtime.zipfile = SimpleNamespace(ZipFile=_SharedArchive)  # all that it uses for functions without layers
    worker = lambda_runtime.Worker
    worker._drain_stderr_bounded = functools.partialmethod(worker._drain_stderr_bounded, first_line_wait=0.002)


def _put_with_times(put_events: Callable[..., Any], data: dict[str, Any], **more: Any) -> Any:  # noqa: ANN401 - MiniStack's own
    """Put entries on a bus; MiniStack asks for the time once for each that it takes, and of one bus it takes all."""
    token = _times_of_entries.set(iter([entry.get("Time") for entry in data.get("Entries", ())]))
    try:
        return put_events(data, **more)
    finally:
        _times_of_entries.reset(token)


def _allowed_by(action: str | None) -> str | None:
    return "sqs:SendMessage" if action == "sqs:SendMessageBatch" else action


class _SharedArchive(zipfile.ZipFile):
    """An archive that is extracted once; every further folder for its contents is a link to the first."""

    _extracting = threading.Lock()

    def extractall(self, path: Any = None, *_: object) -> None:  # noqa: ANN401 - as the library has it
        """Put the contents at `path`, an empty folder until then."""
        content = hashlib.sha256(Path(str(self.filename)).read_bytes()).hexdigest()
        shared = Path(tempfile.gettempdir(), f"code-{content[:16]}")
        with self._extracting:
            if not shared.exists():
                super().extractall(shared.with_suffix(".new"))
                shared.with_suffix(".new").rename(shared)
        Path(path).rmdir()
        Path(path).symlink_to(shared)


_BY_KEYS = re.compile(r"pk = :\w+ AND sk BETWEEN (:\w+) AND (:\w+)")
_by_keys = functools.cache(_BY_KEYS.fullmatch)


def _holds(
    evaluate: Callable[..., bool],
    expression: str,
    item: Mapping[str, Any],
    values: Mapping[str, Any],
    *rest: object,
    slot: str = "ConditionExpression",
) -> bool:
    """Whether an expression holds for an item; code points sort as their UTF-8 does."""
    if slot == "KeyConditionExpression" and (by_keys := _by_keys(expression)):
        first, last = by_keys.groups()
        return bool(values[first]["S"] <= item["sk"]["S"] <= values[last]["S"])
    return evaluate(expression, item, values, *rest, slot=slot)


def main() -> None:
    """Serve on loopback until the process is told to end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    _amend()
    uvicorn.run(
        application,
        host="127.0.0.1",
        port=port,
        http="httptools",
        loop="asyncio",
        ws="none",
        proxy_headers=False,
        lifespan="on",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
        # MiniStack writes its own logs and headers.
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
    )


if __name__ == "__main__":
    main()
