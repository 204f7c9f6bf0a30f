"""Canonical bytes: one value, one writing, one digest; damage is told and never guessed at."""

import contextlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from metering.errors import Unreadable
from metering.packing import canonical, compress, digest, unpack_json
from tests.metering.strategies import words

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_what_is_packed_is_read_back_the_same(value: Any) -> None:
    assert unpack_json(compress(canonical(value))) == value


@given(st.dictionaries(words, json_values, max_size=5), st.randoms(use_true_random=False))
def test_the_bytes_do_not_depend_on_how_a_mapping_was_built(value: dict[str, Any], random: Any) -> None:
    pairs = list(value.items())
    random.shuffle(pairs)
    assert canonical(dict(pairs)) == canonical(value)


@given(json_values, json_values)
def test_two_values_share_bytes_and_digest_only_when_they_are_equal(one: Any, other: Any) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (canonical(one) == canonical(other)) == same
    assert (digest(canonical(one)) == digest(canonical(other))) == same


@given(st.binary(max_size=60))
def test_bytes_that_nobody_packed_are_unreadable_or_some_value(data: bytes) -> None:
    with contextlib.suppress(Unreadable):
        unpack_json(data)


@given(json_values, st.data())
def test_a_cut_pack_is_unreadable(value: Any, data: st.DataObject) -> None:
    packed = compress(canonical(value))
    cut = packed[: data.draw(st.integers(0, len(packed) - 1))]
    with contextlib.suppress(Unreadable):
        assert unpack_json(cut) == value, "what is cut may miss padding, never content"
