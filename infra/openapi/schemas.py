"""JSON schemas of bodies and answers, from the models that read and describe them."""

import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

from adapters.keys import SCOPES
from billing.credits import CreditRequest, RevocationRequest
from billing.customers import Customer
from billing.endpoints import DETAIL_TYPES, EVERYTHING, EndpointRequest
from billing.plans import Plan
from billing.quotes import QuoteRequest
from billing.what_if import WhatIfRequest
from handlers._invoice_routes import VoidRequest
from handlers._top_up_routes import SetupRequest, TopUpRequest
from infra.openapi import answers, bills, explained, notices, wallet_answers
from metering.bodies import EventBody, Said
from metering.cloud_events import CloudEventBody
from metering.meters import Meter
from metering.times import format_duration

Schema = dict[str, Any]

_NUMBER: Schema = {
    "description": "A decimal number: a string, or a JSON number of at most 15 significant digits.",
    "anyOf": [{"type": "string", "pattern": r"^-?\d+(\.\d+)?([eE][+-]?\d+)?$"}, {"type": "number"}],
}
_TIME: Schema = {
    "description": "RFC 3339 with an offset, or integer epoch milliseconds.",
    "anyOf": [{"type": "string", "format": "date-time"}, {"type": "integer", "minimum": 0}],
}

_QUARTER: Schema = {**_TIME, "description": f"{_TIME['description']} Cut to the quarter of an hour."}
_DURATION: Schema = {
    "description": "A whole number of ms, s, m, h or d.",
    "type": "string",
    "pattern": r"^\d{1,12}(ms|s|m|h|d)$",
}

FRAGMENTS: Mapping[str, Schema] = {
    "Number": _NUMBER,
    "Time": _TIME,
    "Quarter": _QUARTER,
    "Duration": _DURATION,
    "Decimal": answers.DECIMAL,
    "Instant": answers.INSTANT,
    "Key": {"type": "string", "pattern": r"^[A-Za-z0-9_.:@|=+-]{1,128}$"},
}
"""What occurs in many places."""

_REFERENCE = "#/components/schemas/"

# What functions make of a value before it is of its type; what is sent is what they take.
_TAKEN: Mapping[str, Schema] = {
    "decimal_of": _NUMBER,
    "_decimal": _NUMBER,
    "parse_time": _TIME,
    "parse_any_time": _TIME,
    "_quarter": _QUARTER,
    "parse_duration": _DURATION,
    "_count": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^\d+$"}]},
    "_dimension": {"anyOf": [{"type": "string"}, {"type": "number"}], "description": "A number keeps its text."},
    "_listed": {
        "description": "Types of announcements, or `*` for all of them, also for those that are yet to come.",
        "anyOf": [
            {"const": EVERYTHING},
            {"type": "array", "minItems": 1, "items": {"enum": [*DETAIL_TYPES, EVERYTHING]}},
        ],
    },
    "_packed": {"type": "string", "contentEncoding": "base64"},
}

_BODIES: Mapping[str, Any] = {
    "Meter": Meter,
    "Plan": Plan,
    "Customer": Customer,
    "CreditRequest": CreditRequest,
    "RevocationRequest": RevocationRequest,
    "TopUpRequest": TopUpRequest,
    "SetupRequest": SetupRequest,
    "WhatIfRequest": WhatIfRequest,
    "VoidRequest": VoidRequest,
    "WebhookEndpointRequest": EndpointRequest,
    "QuoteRequest": QuoteRequest,
    "Event": EventBody,
    "EventData": Said,
    "CloudEvent": CloudEventBody,
}
_SHOWN: Mapping[str, Any] = {"MeterAnswer": Meter, "PlanAnswer": answers.PlanAnswer, "CustomerAnswer": Customer}

_SAID = {
    "Meter": "What is counted, and how. Names left out have their defaults; the key is that of the path.",
    "MeterAnswer": "A meter as it was written, and from when the dimensions count that were added to one with events.",
    "Plan": "What things cost. The key is that of the path.",
    "Customer": "Who uses something and pays for it. The id is that of the path; PUT replaces the whole.",
    "CustomerAnswer": "A customer, whole.",
    "CustomerPatch": "What changes (RFC 7396): null removes, objects merge, all else replaces.",
    "Event": "Something that happened: a value, or the start or stop of a session.",
    "EventData": "What an event says, apart from what makes it this one event.",
    "CloudEvent": "CloudEvents 1.0: `time`, `subject` and `type` are timestamp, customer and meter.",
    "CreditRequest": "A credit. Without `effective_at` it begins when it is posted.",
    "RevocationRequest": "How much of a credit is taken back; without `amount` all that remains of it.",
    "WhatIfRequest": "Another plan, and the period: its first instant, or the id or number of its invoice; the running "
    "one unless told. The meters of a plan that is written out need not exist.",
    "TopUpRequest": "How much credit to buy.",
    "SetupRequest": "Where the customer is led afterwards; to a word of thanks unless told.",
    "VoidRequest": "Whether the period is to be invoiced anew.",
    "WebhookEndpointRequest": "Where to post what: https alone, at public addresses alone. Without an `id` "
    "the endpoint is named by its content.",
    "QuoteRequest": "A plan, or the key of one, and usage to hold against it.",
}


class _Generator(GenerateJsonSchema):
    """Schemas of what is sent, not of what it becomes; without a title for every field."""

    # Defaults of what is answered are no news: it is there.
    ignored_warning_kinds = {*GenerateJsonSchema.ignored_warning_kinds, "non-serializable-default"}  # noqa: RUF012 - pydantic's own attribute

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        """The input of a function that runs before validation."""
        taken = _TAKEN.get(schema["function"]["function"].__name__) if self.mode == "validation" else None
        return deepcopy(taken) if taken else super().function_before_schema(schema)

    def function_plain_schema(self, schema: core_schema.PlainValidatorFunctionSchema) -> JsonSchemaValue:
        """The input of a function that validates by itself."""
        taken = _TAKEN.get(schema["function"]["function"].__name__)
        return deepcopy(taken) if taken else super().function_plain_schema(schema)

    def field_title_should_be_set(self, _schema: Any) -> bool:  # noqa: ANN401 - pydantic's own union of schemas
        """Never: a field's name says it."""
        return False


def components() -> dict[str, Schema]:
    """All schemas by name."""
    found_in = vars(answers) | vars(bills) | vars(explained) | vars(notices) | vars(wallet_answers)
    models: list[Any] = [each for each in found_in.values() if _is_answer(each)]
    inputs: list[tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = [
        *((name, "validation", TypeAdapter(body)) for name, body in _BODIES.items()),
        *((name, "serialization", TypeAdapter(shown)) for name, shown in _SHOWN.items()),
        *((model.__name__, "validation", TypeAdapter(model)) for model in models),
    ]
    found, whole = TypeAdapter.json_schemas(
        inputs, ref_template="#/components/schemas/{model}", schema_generator=_Generator
    )
    definitions: dict[str, Schema] = whole["$defs"]
    # Pydantic names a schema after its class and mode; readers want the names that are used here.
    names = {found[name, mode]["$ref"].rsplit("/", 1)[1]: name for name, mode, _ in inputs}
    schemas = {names.get(name, _plain(name)): _renamed(schema, names) for name, schema in definitions.items()}
    schemas |= FRAGMENTS
    schemas |= _written(schemas)
    for name, sentence in _SAID.items():
        schemas[name]["description"] = sentence
    for name in ("round_up", "minimum"):
        field = schemas["Meter"]["properties"][name]
        field["default"] = format_duration(field["default"])
    return {name: {key: each for key, each in schemas[name].items() if key != "title"} for name in sorted(schemas)}


def _is_answer(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, answers.Answer) and found is not answers.Answer


def _plain(name: str) -> str:
    return re.sub(r"-(Input|Output)$", lambda mode: "" if mode[1] == "Input" else "Answer", name)


def _renamed(value: Any, names: Mapping[str, str]) -> Any:  # noqa: ANN401 - a schema is any JSON
    """Let references lead to the names used here, and to fragments that are told once."""
    if isinstance(value, list):
        return [_renamed(each, names) for each in value]
    if isinstance(value, str) and value.startswith(_REFERENCE):
        name = value.removeprefix(_REFERENCE)
        return _REFERENCE + names.get(name, _plain(name))
    if not isinstance(value, dict):
        return value
    for name, fragment in FRAGMENTS.items():
        if fragment.items() <= value.items():
            rest = {key: each for key, each in value.items() if key not in fragment}
            return {"$ref": _REFERENCE + name, **rest}
    return {key: _renamed(each, names) for key, each in value.items() if key != "default" or each not in (None, [], "")}


def _written(schemas: Mapping[str, Schema]) -> dict[str, Schema]:
    """Bodies as they are sent: what the path says may be left out of them."""
    customer = _without(schemas["Customer"], "id")
    customer["properties"]["plan_effective_at"] = {
        "anyOf": [{"$ref": f"{_REFERENCE}Quarter"}, {"type": "null"}],
        "description": "From when `plan` holds: a change now unless told, and not before the running period; a first "
        "plan from `starts_at`, or then if that is later.",
    }
    patch = deepcopy(customer)
    patch.pop("required", None)
    patch["properties"] = {
        name: {"anyOf": [_undefaulted(each), {"type": "null"}]} for name, each in patch["properties"].items()
    }
    meter, plan = _without(schemas["Meter"], "key"), _without(schemas["Plan"], "key")
    unread = "Not looked at: what was read may be sent back."
    meter["properties"]["dimensions_since"] = {"type": "object", "description": unread}
    plan["properties"]["version"] = {"type": "integer", "description": unread}
    return {
        "Meter": meter,
        "Plan": plan,
        "Customer": customer,
        "CustomerPatch": patch,
        "ApiKeyRequest": {
            "type": "object",
            "description": "A name, and what its holder may do.",
            "properties": {
                "id": {"type": "string", "maxLength": 128},
                "scopes": {"type": "array", "minItems": 1, "items": {"enum": list(SCOPES)}},
            },
            "required": ["id", "scopes"],
        },
    }


def _without(schema: Schema, name: str) -> Schema:
    found = deepcopy(schema)
    found["required"] = [each for each in found.get("required", ()) if each != name]
    if not found["required"]:
        del found["required"]
    return found


def _undefaulted(schema: Schema) -> Schema:
    return {name: value for name, value in schema.items() if name != "default"}
