"""The few pages that Stripe hosts: a checkout that saves a card, and an invoice that can be paid."""

from __future__ import annotations

import html
import json
import re
from urllib.parse import parse_qs

from . import happenings
from .application import Application
from .cards import CARDS
from .problems import Json, Problem
from .wire import Answer, Request

_LAYOUT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width"><style>body{{font:16px/1.5 system-ui;margin:3rem auto;
max-width:32rem;padding:0 1rem}}button,select{{font:inherit;padding:.5rem}}</style>
<h1>{title}</h1><p>{text}</p>{form}</html>"""


def handle(application: Application, request: Request) -> Answer:
    """Returns a page, or does what its form asks for."""
    matched = re.fullmatch(r"/(checkout|invoice)/(\w+)", request.path)
    if matched is None:
        return _page(404, "Nothing here", request.path)
    kind, identifier = matched.groups()
    with application.lock:
        known = application.account.objects.get(identifier)
    if known is None or known.get("deleted"):
        return _page(404, "Nothing here", request.path)
    if request.method == "POST":
        return _submitted(application, kind, identifier, request)
    title = _title(kind, known)
    return _page(200, title, _text(kind, known), _form() if known["status"] == "open" else "")


def _title(kind: str, known: Json) -> str:
    if kind == "checkout":
        return "Pay" if known["mode"] == "payment" else "Save a card"
    return f"Invoice {known.get('number')}"


def _text(kind: str, known: Json) -> str:
    if kind == "checkout" and known["mode"] == "setup":
        return f"This session is {known['status']}."
    if kind == "checkout":
        return f"{known['amount_total']} minor units of {known['currency']}. This session is {known['status']}."
    due = f"{known['amount_due'] / 100:.2f} {known['currency'].upper()}"
    return f"{due} due. This invoice is {known['status']}."


def _submitted(application: Application, kind: str, identifier: str, request: Request) -> Answer:
    number = parse_qs(request.body).get("card", [""])[0]
    act = happenings.complete_checkout if kind == "checkout" else happenings.pay_invoice
    try:
        with application.lock:
            done = act(application, json.dumps({"card": number}), identifier)
            application.courier.collect(application.account)
    except Problem as problem:
        return _page(problem.status, "That did not work", str(problem), _form())
    if done.get("success_url"):
        return Answer(303, b"", {"Location": done["success_url"].replace("{CHECKOUT_SESSION_ID}", identifier)})
    return _page(200, "Thank you", f"This invoice is {done['status']}.")


def _form() -> str:
    options = "".join(f"<option>{number}</option>" for number in CARDS)
    return f'<form method="post"><select name="card">{options}</select> <button>Go on</button></form>'


def _page(status: int, title: str, text: str, form: str = "") -> Answer:
    filled = _LAYOUT.format(title=html.escape(title), text=html.escape(text), form=form)
    return Answer(status, filled.encode(), content_type="text/html; charset=utf-8")
