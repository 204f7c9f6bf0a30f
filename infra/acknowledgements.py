"""Findings of cdk-nag that we know and keep, each with its reason."""

from infra.data import Data
from infra.service import Service


def add(data: Data, service: Service) -> None:
    """Acknowledge what stays, where it is."""
