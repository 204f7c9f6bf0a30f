"""Runs the stand-in: ``python -m infra.local.stripe --port 8420``."""

from __future__ import annotations

import argparse
import signal
import sys

from .server import Server


def main() -> int:
    """Serves until SIGINT or SIGTERM; prints one line once it is ready."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.stripe", description=__doc__)
    parser.add_argument("--port", type=int, default=8420, help="0 takes a free one")
    server = Server(parser.parse_args().port)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.stdout.write(f"Stripe stand-in ready on {server.url}\n")
    sys.stdout.flush()
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        return 0
    finally:
        server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
