"""Where Stripe's pages lead a customer when they are done."""

from portal.invoice_style import STYLE

DONE = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Thank you</title><style>{STYLE}</style></head><body><main>
<h1>Thank you</h1>
<p>What you entered has reached the payment service. You can close this page.</p>
</main></body></html>"""
