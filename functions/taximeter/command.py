"""The `taximeter` command: one subcommand a file, put together here."""

import typer

from taximeter import asking, benchmark, local, offline, operator, reading
from taximeter.applying.command import apply
from taximeter.connecting import stripe
from taximeter.demo.command import demo
from taximeter.importing.command import import_
from taximeter.replaying.command import replay
from taximeter.topping_up import top_ups

main = typer.Typer(
    name="taximeter",
    help="Usage metering and billing in your own AWS account.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (
    local.up,
    local.down,
    local.status,
    local.advance,
    demo,
    apply,
    reading.usage,
    reading.balance,
    reading.invoices,
    reading.events,
    asking.explain,
    asking.quote,
    asking.what_if,
    operator.parked,
    operator.redrive,
    replay,
    benchmark.benchmark,
    offline.simulate,
):
    main.command()(_command)
main.command("import")(import_)
main.add_typer(operator.keys, name="keys")
main.add_typer(stripe, name="stripe")
main.add_typer(top_ups, name="top-ups")

if __name__ == "__main__":
    main()
