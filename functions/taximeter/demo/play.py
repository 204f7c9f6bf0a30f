"""The demo, step by step: a real trace from HTTPS events to paid invoices, and the proof that every figure is right."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.status import Status

from billing.periods import Period, local_month
from metering.times import HOUR, MINUTE, QUARTER, floor, format_time
from taximeter.demo import cast, show, trace
from taximeter.demo.agreement import Compared, Observed, compare, compare_payments
from taximeter.demo.deployment import Api, Inbox, charges, inbox, save_cards
from taximeter.scenario import read
from taximeter.simulate import simulate

if TYPE_CHECKING:
    from infra.local.cloud import Cloud

_REQUESTS = 4
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the demo plays.

    Attributes:
        names: the customer of each application, the one that ran longest first.
        month: the running month of the cloud's clock, in which the trace lies.
        began: when the trace began.
    """

    cloud: "Cloud"
    api: Api
    console: Console
    invocations: list[trace.Invocation]
    names: dict[str, str]
    month: Period
    began: int

    @property
    def ran_longest(self) -> str:
        """The customer that tops up."""
        return next(iter(self.names.values()))

    @contextmanager
    def step(self, title: str) -> Iterator["Step"]:
        """Show that something goes on, and at its end how it went and how long it took."""
        began = monotonic()
        with self.console.status(title) as status:
            step = Step(title, status, [])
            yield step
        line = f"[green]✓[/green] {title}{': ' if step.facts else ''}{', '.join(step.facts)}"
        self.console.print(f"{line}  [dim]{monotonic() - began:.1f} s[/dim]", soft_wrap=True, highlight=False)


@dataclass(frozen=True, slots=True)
class Step:
    """Something that goes on; `facts` are told at its end."""

    title: str
    status: Status
    facts: list[str]

    def reaches(self, what: str) -> None:
        """Show how far it is."""
        self.status.update(f"{self.title}: {what}")


def play(cloud: "Cloud", console: Console) -> bool:
    """Run the demo on a local cloud; says whether all figures agree.

    Raises:
        RuntimeError: the deployment refuses something, or a scheduled function failed.
        TimeoutError: the deployment did not come to rest.
    """
    stage = _set(cloud, console)
    with inbox(cloud, f"demo-{stage.ran_longest}") as mailbox:
        holders = _introduce(stage)
        sent, balances = _post(stage)
        console.print(show.balances(balances))
        _tell_top_up(stage, mailbox)
    _end_month(stage)
    observed = {name: stage.api.observe(name, *_span(stage)) for name in stage.names.values()}
    console.print(show.usage(observed), show.ledger(stage.ran_longest, observed[stage.ran_longest].ledger))
    console.print(show.invoices(observed), show.lines(observed[stage.ran_longest].invoices[-1]))
    return _agree(stage, observed, sent, holders)


def _set(cloud: "Cloud", console: Console) -> Stage:
    """Find a place for the trace in the running month of the cloud's clock, and put the clock where there is one."""
    from infra.local import clock  # noqa: PLC0415 - what carries the local cloud is loaded by whoever has one

    month, moment = place(clock.now_milliseconds(cloud))
    if moment is not None:
        clock.advance(cloud, moment)
    now = clock.now_milliseconds(cloud)
    api = Api(cloud.api_url, cloud.admin_key)
    invocations = trace.read()
    applications = cast.applications(invocations)
    again = next(
        tail
        for tail in ("", *(f"-{n}" for n in range(2, 1000)))
        if not api.knows(f"/v1/customers/app-{applications[0][:4]}{tail}")
    )
    names = {each: f"app-{each[:4]}{again}" for each in applications}
    return Stage(cloud, api, console, invocations, names, month, floor(now, QUARTER) - 2 * HOUR)


def place(now: int) -> tuple[Period, int | None]:
    """The month that the demo plays in, and where the clock has to go first; None if it is well where it is.

    The trace begins two hours before now and must lie in the month, which must not end while the demo runs.
    """
    month = local_month("UTC", now)
    if now > month.end - HOUR:
        month = local_month("UTC", month.end)
    earliest = month.start + 3 * HOUR
    return month, earliest if now < earliest else None


def _introduce(stage: Stage) -> dict[str, str]:
    """Write the catalogue; returns the customer of each Stripe customer."""
    customers = cast.customers(stage.names, stage.names)
    with stage.step("A meter and a plan") as step:
        stage.api.call("PUT", "/v1/meters/runtime", cast.METER)
        stage.api.call("PUT", "/v1/plans/serverless", cast.PLAN)
        step.facts.extend(["milliseconds × memory, priced by provider and region", "invocations per 1,000"])
    with stage.step("Customers") as step:
        cards = save_cards(stage.cloud, {each["id"]: each["name"] for each in customers})
        for number, customer in enumerate(customers):
            path = f"/v1/customers/{customer['id']}"
            # Credits come before the rules: a rule to top up holds from the moment in which it is written.
            stage.api.call("PUT", path, {name: customer[name] for name in customer.keys() - {"alerts", "top_up"}})
            for credit in cast.credits_of(number):
                stage.api.call("POST", f"{path}/credits", credit)
            stage.api.call("PUT", path, {**customer, "stripe_customer": cards[customer["id"]]})
        step.facts.extend([f"{len(customers)} applications", "each with a card at Stripe and $2 of welcome credit"])
        step.facts.extend([f"{stage.ran_longest} bought $30 and tops up $45 below $15"])
    return {holder: customer for customer, holder in cards.items()}


def _post(stage: Stage) -> tuple[list[Json], list[dict[str, str]]]:
    """Post the trace; returns all that was sent, and every balance before and after each request."""
    from infra.local import clock  # noqa: PLC0415 - see `_set`

    bodies = trace.requests(stage.invocations, stage.names, stage.began, _REQUESTS)
    sent = [event for body in bodies for event in body]
    different = len({(event["customer"], event["id"]) for event in sent})
    balances = [_balances(stage)]
    title = f"{len(stage.invocations)} real invocations as {different} start and stop events, shuffled"
    with stage.step(title) as step:
        for count, body in enumerate(bodies, 1):
            step.reaches(f"request {count} of {len(bodies)}")
            answer = stage.api.call("POST", "/v1/events", body)
            if answer["accepted"] != len(body):
                message = f"events were refused: {answer['rejected']}"
                raise RuntimeError(message)
            clock.wait_until_quiet(stage.cloud)
            balances.append(_balances(stage))
        step.facts.extend([f"{len(bodies)} requests", f"{len(sent) - different} events sent again"])
    return sent, balances


def _balances(stage: Stage) -> dict[str, str]:
    return {name: stage.api.call("GET", f"/v1/customers/{name}/balance")["balance"] for name in stage.names.values()}


def _tell_top_up(stage: Stage, mailbox: Inbox) -> None:
    """Show the alert as it arrived, and the top-up that followed."""
    stage.console.print(show.alerts(mailbox.messages()))
    stage.console.print(show.top_ups(stage.api.rows(f"/v1/customers/{stage.ran_longest}/top_ups")))


def _end_month(stage: Stage) -> None:
    from infra.local import clock  # noqa: PLC0415 - see `_set`

    with stage.step("The clock goes to the end of the month") as step:
        clock.advance(stage.cloud, stage.month.end, step.reaches)
        drafts = sum(
            len(stage.api.rows("/v1/invoices", customer=each, status="draft")) for each in stage.names.values()
        )
        step.facts.extend([format_time(stage.month.end), f"{drafts} invoices are drafts for an hour, for late events"])
    with stage.step("The clock goes past that hour") as step:
        clock.advance(stage.cloud, stage.month.end + HOUR + 5 * MINUTE, step.reaches)
        step.facts.extend(["invoices are finalised, numbered without gaps, and charged through Stripe"])


def _span(stage: Stage) -> tuple[str, str]:
    return format_time(stage.month.start), format_time(stage.month.end)


def _agree(stage: Stage, observed: dict[str, Observed], sent: list[Json], holders: dict[str, str]) -> bool:
    """Compute everything again from the events alone, and compare."""
    with stage.step("Everything computed again, from the events alone, by the pure core"):
        customers = cast.customers(stage.names, stage.names)
        simulated = simulate(read(json.dumps(_scenario(customers, observed, sent))))
        compared = compare(observed, simulated["customers"])
        compared.append(compare_payments(observed, charges(stage.cloud), holders))
        if simulated["rejected"]:
            compared.append(Compared("events", len(sent), tuple(map(str, simulated["rejected"]))))
    stage.console.print(show.verdict(compared))
    return not any(each.differences for each in compared)


def _scenario(customers: list[Json], observed: dict[str, Observed], sent: list[Json]) -> Json:
    """What was sent, as a scenario; the top-ups that were paid are among the credits."""
    parts = ("id", "amount", "kind", "priority", "effective_at", "expires_at")
    latest = max(observed.values(), key=lambda each: each.balance["as_of"])
    return {
        "meters": [cast.METER],
        "plans": [cast.PLAN],
        "customers": [
            {
                **customer,
                "credits": [
                    {part: each[part] for part in parts} for each in observed[customer["id"]].balance["credits"]
                ],
            }
            for customer in customers
        ],
        "events": sent,
        "now": latest.balance["as_of"],
    }
