"""What AWS answers when it has no time is told apart from what is wrong."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from adapters.availability import available
from metering.errors import Unavailable


def refused(code: str, *reasons: str) -> ClientError:
    answer: Any = {"Error": {"Code": code}, "CancellationReasons": [{"Code": reason} for reason in reasons]}
    return ClientError(answer, "Query")


@pytest.mark.parametrize(
    "error",
    [
        refused("ThrottlingException"),
        refused("ProvisionedThroughputExceededException"),
        refused("RequestLimitExceeded"),
        refused("RequestThrottled"),
        refused("InternalServerError"),
        refused("InternalServiceError"),
        refused("TransactionCanceledException", "None", "ThrottlingError"),
        refused("TransactionCanceledException", "ProvisionedThroughputExceeded"),
        EndpointConnectionError(endpoint_url="https://dynamodb"),
        ReadTimeoutError(endpoint_url="https://dynamodb"),
    ],
    ids=repr,
)
def test_what_has_no_time_may_be_asked_again(error: Exception) -> None:
    with pytest.raises(Unavailable) as told, available():
        raise error
    assert told.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        refused("ValidationException"),
        refused("AccessDeniedException"),
        refused("TransactionCanceledException", "None", "ValidationError"),
        KeyError("x"),
    ],
    ids=repr,
)
def test_what_is_wrong_stays_so(error: Exception) -> None:
    with pytest.raises(type(error)) as told, available():
        raise error
    assert told.value is error
