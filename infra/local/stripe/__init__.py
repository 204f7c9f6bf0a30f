"""A stand-in for Stripe, for tests, the local cloud and the demo.

The real ``stripe`` package drives it over HTTP on loopback. It keeps one test account in memory, behaves like the API
version the package is pinned to, and says loudly what it does not carry out instead of ignoring it.

    python -m infra.local.stripe --port 8420
"""
