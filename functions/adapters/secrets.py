"""The one secret: Stripe's keys, and the one that signs our own webhooks. Never logged, cached for a few minutes."""

import json
import time
from functools import cache
from typing import TYPE_CHECKING

import boto3

from metering.errors import Unavailable

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

_LIFE_SECONDS = 300


@cache
def _client() -> "SecretsManagerClient":
    return boto3.client("secretsmanager")


class Secret:
    """A JSON secret: `stripe_api_key`; `stripe_webhook_secrets`, two while one is being replaced; `signing_key`."""

    def __init__(self, arn: str, client: "SecretsManagerClient | None" = None) -> None:
        self._arn = arn
        self._client = client or _client()
        self._until = 0.0
        self._value: dict[str, object] = {}

    def forget(self) -> None:
        """Read it anew next time: whoever it was shown to has refused it."""
        self._until = 0.0

    def _read(self) -> dict[str, object]:
        if time.monotonic() >= self._until:
            self._value = json.loads(self._client.get_secret_value(SecretId=self._arn)["SecretString"])
            self._until = time.monotonic() + _LIFE_SECONDS
        return self._value

    def stripe_api_key(self) -> str:
        """The key that calls Stripe.

        Raises:
            Unavailable: the operator has not put one there yet.
        """
        key = self._read().get("stripe_api_key")
        if not isinstance(key, str) or not key:
            raise Unavailable("no Stripe key has been set", "stripe_key_missing")
        return key

    def stripe_webhook_secrets(self) -> list[str]:
        """The secrets with which Stripe may have signed; none until the operator has put them there."""
        secrets = self._read().get("stripe_webhook_secrets")
        # Whoever signs with nothing would fit one that is empty.
        return [each for each in secrets if each and isinstance(each, str)] if isinstance(secrets, list) else []

    def signing_key(self) -> str:
        """The key from which the secrets of webhook endpoints are derived; made when the deployment was.

        Raises:
            Unavailable: whoever wrote the secret last has left it out.
        """
        key = self._read().get("signing_key")
        if not isinstance(key, str) or not key:
            raise Unavailable("the secret has no key for signing webhooks", "signing_key_missing")
        return key
