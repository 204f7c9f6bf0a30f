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
- an invocation does not wait 50 ms for log lines that a quiet function never writes.
"""

import argparse
import asyncio
import contextvars
import functools
import json
from collections.abc import Callable, Iterator
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.typing import (
    ASGIReceiveCallable,
    ASGISendCallable,
    HTTPResponseBodyEvent,
    HTTPResponseStartEvent,
    Scope,
)
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
    records = int(dynamodb._stream_seq_counter)
    return {"streamed": streamed, "queued": queued, "running": running, "records": records}


def _behind(mapping: str, table: str) -> int:
    """How many records of a table's stream its consumer has yet to pass."""
    start = dynamodb.stream_start_position(table)
    position = max(start, lambda_svc._dynamodb_stream_positions.get(mapping, start))
    return int(dynamodb.stream_end_position(table) - position)


async def application(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """MiniStack's ASGI application, and the one question more."""
    if scope["type"] == "http":
        if scope["path"] == "/_taximeter/pending":
            await _answer(send, pending())
            return
        scope["scheme"] = "https"
        _encoded_body.set(any(name == b"content-encoding" for name, _ in scope["headers"]))
    await ministack(scope, receive, send)


async def _answer(send: ASGISendCallable, body: dict[str, int]) -> None:
    headers = [(b"content-type", b"application/json")]
    await send(HTTPResponseStartEvent(type="http.response.start", status=200, headers=headers))
    await send(HTTPResponseBodyEvent(type="http.response.body", body=json.dumps(body).encode(), more_body=False))


def _amend() -> None:
    """Make the amendments to functions that the module's docstring names."""
    is_text = apigateway._v2_request_body_is_text
    apigateway._v2_request_body_is_text = lambda content_type: not _encoded_body.get() and is_text(content_type)
    action_of = iam_actions.extract_iam_action
    iam_actions.extract_iam_action = lambda *request: _allowed_by(action_of(*request))
    put_events, real_now = eventbridge._put_events, eventbridge._now_ts
    eventbridge._put_events = functools.partial(_put_with_times, put_events)
    eventbridge._now_ts = lambda: next(_times_of_entries.get(iter(())), None) or real_now()
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


def main() -> None:
    """Serve on loopback until the process is told to end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, required=True)
    _amend()
    config = Config()
    config.bind = [f"127.0.0.1:{parser.parse_args().port}"]
    config.keep_alive_timeout = 75
    asyncio.run(serve(application, config))


if __name__ == "__main__":
    main()
