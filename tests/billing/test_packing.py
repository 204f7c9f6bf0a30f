"""A wallet is one small blob."""

import pytest

from billing.packing import pack, unpack
from billing.wallet import Wallet
from metering.errors import Unreadable
from tests.billing.histories import START, History, at


def test_a_wallet_with_twenty_credits_packs_below_one_kilobyte() -> None:
    history = History(events=[(at("02T10:10"), "123.45"), (at("02T10:40"), "0.55")])
    for number in range(20):
        history.post(START, id=f"top-up:{number:04d}", amount="50", effective_at=START + number * 900_000 * 8)
    history.look(at("03T10:20"))

    packed = pack(history.wallet)
    assert len(packed) < 1024
    assert unpack(packed) == history.wallet


def test_an_empty_wallet_comes_back_as_it_was() -> None:
    assert unpack(pack(Wallet("acme", "USD", 5))) == Wallet("acme", "USD", 5)


def test_damaged_bytes_are_unreadable() -> None:
    with pytest.raises(Unreadable):
        unpack(b"\x00damaged")
