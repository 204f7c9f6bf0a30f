"""What an operator can choose, and what is refused."""

import aws_cdk as cdk
import pytest

from infra import settings


def chosen(**context: object) -> settings.Settings:
    return settings.read(cdk.App(context=context).node)


def test_without_a_word_the_defaults_hold() -> None:
    found = chosen()
    assert (found.name, found.local, found.freshness_seconds) == ("Taximeter", False, 5)
    assert (found.accept_past, found.accept_future, found.grace) == ("35d", "5m", "1h")
    assert found.alarms
    assert found.dashboard


@pytest.mark.parametrize("flag", ["false", False])
def test_a_flag_may_come_as_text_from_the_command_line(flag: object) -> None:
    assert not chosen(alarms=flag).alarms


def test_the_local_cloud_has_no_alarms_whatever_is_said() -> None:
    found = chosen(local=True, alarms=True, dashboard=True)
    assert not found.alarms
    assert not found.dashboard


def test_an_issuer_may_come_as_text_from_the_command_line() -> None:
    assert chosen(issuer='{"name": "Acme"}').issuer == {"name": "Acme"}


@pytest.mark.parametrize(
    "context",
    [
        {"name": "two words"},
        {"name": ""},
        {"freshness_seconds": 301},
        {"freshness_seconds": "-1"},
        {"top_up_delay_seconds": 901},
        {"alarms": "perhaps"},
        {"issuer": "[]"},
    ],
)
def test_what_makes_no_sense_is_refused_by_name(context: dict[str, object]) -> None:
    [key] = context
    with pytest.raises(ValueError, match=key):
        chosen(**context)
