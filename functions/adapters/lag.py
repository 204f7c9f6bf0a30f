"""How far the consumers of the streams are behind. Law 5.7: no invoice is finalised while one lags too much."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

import boto3

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

_LOOKS_BACK = timedelta(minutes=15)
_PERIOD_SECONDS = 60


@cache
def _client() -> "CloudWatchClient":
    return boto3.client("cloudwatch")


class Lag:
    """The ages of the records that some functions were last given, as Lambda measures them."""

    def __init__(self, functions: Sequence[str], client: "CloudWatchClient | None" = None) -> None:
        self._functions = functions
        self._client = client or _client()

    def milliseconds(self) -> int:
        """The greatest age of the last quarter of an hour; 0 where nothing was waiting.

        It is asked of the real clock, which is the one by which records wait.
        """
        now = datetime.now(UTC)
        answer = self._client.get_metric_data(
            MetricDataQueries=[_query(f"m{place}", name) for place, name in enumerate(self._functions)],
            StartTime=now - _LOOKS_BACK,
            EndTime=now,
        )
        values = [value for result in answer["MetricDataResults"] for value in result.get("Values", ())]
        return int(max(values, default=0))


def _query(identifier: str, function: str) -> "MetricDataQueryTypeDef":
    return {
        "Id": identifier,
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/Lambda",
                "MetricName": "IteratorAge",
                "Dimensions": [{"Name": "FunctionName", "Value": function}],
            },
            "Period": _PERIOD_SECONDS,
            "Stat": "Maximum",
        },
    }
