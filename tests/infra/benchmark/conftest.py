"""The emulator that the tables' own tests use."""

from tests.adapters.conftest import emulator

__all__ = ["emulator"]
