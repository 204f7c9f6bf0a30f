"""What its owner writes on an object."""

from __future__ import annotations

from infra.local.stripe.problems import Json, invalid

_MOST_KEYS = 50
_MOST_OF_A_KEY = 40
_MOST_OF_A_VALUE = 500


def fresh(given: Json | str | None) -> Json:
    """Returns the metadata of a new object; raises a 400 when there is too much of it."""
    return merged({}, given or {})


def merged(known: Json, given: Json | str) -> Json:
    """Returns metadata with new values; an empty one takes its key away, and ``""`` takes all.

    Raises:
        Problem: there are more than 50 keys, or one or its value is too long.
    """
    if isinstance(given, str):
        return {}
    for key, value in given.items():
        if len(key) > _MOST_OF_A_KEY:
            text = f"Metadata keys can be up to {_MOST_OF_A_KEY} characters long: {key}"
            raise invalid(text, param=f"metadata[{key}]")
        if len(value) > _MOST_OF_A_VALUE:
            text = f"Metadata values must be {_MOST_OF_A_VALUE} characters or less."
            raise invalid(text, param=f"metadata[{key}]")
    together = {key: value for key, value in {**known, **given}.items() if value != ""}
    if len(together) > _MOST_KEYS:
        raise invalid(f"Metadata can have at most {_MOST_KEYS} keys.", param="metadata")
    return together
