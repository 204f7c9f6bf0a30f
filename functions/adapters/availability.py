"""What AWS answers when it has no time: nothing is wrong with the request, and who asks may ask again."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError  # noqa: A004 - botocore's own name

from metering.errors import Unavailable

# As tables, queues and secrets call it, and as a transaction calls it among the reasons why it was cancelled.
_BUSY = {
    *("ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded", "RequestThrottled"),
    *("ProvisionedThroughputExceeded", "ThrottlingError", "TransactionInProgressException"),
    *("InternalServerError", "InternalServiceError", "InternalFailure", "ServiceUnavailable"),
}


@contextmanager
def available() -> Iterator[None]:
    """Turn a table, queue or secret that is too busy, or does not answer, into Unavailable."""
    try:
        yield
    except (ConnectionError, HTTPClientError) as error:
        raise Unavailable("what this needs does not answer: send it again") from error
    except ClientError as error:
        reasons = {reason.get("Code") for reason in error.response.get("CancellationReasons", [])}
        if not ({error.response["Error"]["Code"]} | reasons) & _BUSY:
            raise
        raise Unavailable("what this needs is too busy: send it again") from error
