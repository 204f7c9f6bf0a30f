"""The local cloud on the command line: `up`, `down`, `status` and `advance`.

What carries the local cloud is imported when a command is called: the client needs none of it.
"""

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from infra.local.cloud import Cloud

Port = Annotated[int, typer.Option(help="Where the local cloud listens, and its name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def up(
    *,
    port: Port = 4566,
    detach: Annotated[bool, typer.Option("--detach", help="Leave it running and return.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start the local cloud and deploy to it."""
    with explained():
        from infra.local import cloud  # noqa: PLC0415 - see the module's docstring

        began = time.monotonic()
        end_on_signals()
        started = cloud.start(port, attached=not detach, say=_say)
        _say(f"ready in {time.monotonic() - began:.0f} s")
        _show(started, as_json=as_json)
        if detach:
            return
        _say("Ctrl-C ends it")
        try:
            _watch(port)
        finally:
            cloud.stop(port)


def down(*, port: Port = 4566) -> None:
    """End the local cloud; nothing of it is left."""
    with explained():
        from infra.local import cloud  # noqa: PLC0415 - see the module's docstring

        _say("ended" if cloud.stop(port) else f"no local cloud on port {port}")


def status(*, port: Port = 4566, as_json: AsJson = False) -> None:
    """Show the local cloud: its addresses, its clock, and what is under way."""
    with explained():
        from infra.local import clock  # noqa: PLC0415 - see the module's docstring
        from metering.times import format_time  # noqa: PLC0415 - see the module's docstring

        found = _found(port)
        pending = clock.pending(found)
        more = {
            "now": format_time(clock.now_milliseconds(found) // 1000 * 1000),
            "quiet": pending.quiet,
        }
        _show(found, as_json=as_json, more=more)


def advance(
    *,
    to: Annotated[str, typer.Option(help="The time to go to, such as 2026-12-01T06:00:00Z.")],
    port: Port = 4566,
) -> None:
    """Set the local cloud's clock forward and run the scheduled functions at it."""
    with explained():
        from infra.local import clock  # noqa: PLC0415 - see the module's docstring
        from metering.times import parse_time  # noqa: PLC0415 - see the module's docstring

        clock.advance(_found(port), parse_time(to), _say)


def end_on_signals() -> None:
    """Let `kill` and a closed terminal end it as Ctrl-C does, and a second one not disturb the cleaning up."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as it is under nohup
        numbers.append(signal.SIGHUP)

    def end(_number: int, _frame: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in numbers:
        signal.signal(number, end)


def _found(port: int) -> "Cloud":
    from infra.local import cloud  # noqa: PLC0415 - see the module's docstring

    found = cloud.find(port)
    if found is None:
        message = f"no local cloud on port {port} was started from this folder: taximeter up"
        raise RuntimeError(message)
    return found


def _watch(port: int) -> None:
    """Return when the cloud ends by itself or by `down`; Ctrl-C raises."""
    from infra.local import cloud  # noqa: PLC0415 - see the module's docstring

    while cloud.find(port):
        time.sleep(0.5)
    _say("the local cloud has ended")


def _show(cloud: "Cloud", *, as_json: bool, more: dict[str, object] | None = None) -> None:
    names = ("api_url", "admin_key", "endpoint_url", "stripe_url")
    values: dict[str, object] = {name: getattr(cloud, name) for name in names} | (more or {})
    if as_json:
        sys.stdout.write(json.dumps(values) + "\n")
    else:
        sys.stdout.writelines(f"{name:<13} {value}\n" for name, value in values.items())
    sys.stdout.flush()


def _say(line: str) -> None:
    """Tell people; what programs read goes to standard output alone."""
    sys.stderr.write(line + "\n")


@contextmanager
def explained() -> Iterator[None]:
    """Turn what a person can do something about into one line and exit code 1; Ctrl-C into 130."""
    try:
        yield
    except ModuleNotFoundError as missing:
        _say(f"{missing}: the local cloud needs pip install 'taximeter[local]'")
        raise typer.Exit(1) from missing
    except (RuntimeError, ValueError, TimeoutError) as failure:
        _say(str(failure))
        raise typer.Exit(1) from failure
    except KeyboardInterrupt:
        _say("ended")
        raise typer.Exit(130) from None
