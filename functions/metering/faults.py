"""What is wrong with something written, all of it at once, each fault with the JSON pointer to where it is."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from metering.errors import Fault, Invalid

_Model = TypeVar("_Model", bound=BaseModel)

Contradiction = tuple[tuple[str | int, ...], str]
"""Something that no field can see by itself: where, as steps into what was written, and what is wrong there."""


class Written(BaseModel):
    """Something that a user wrote: frozen, and refused whole when it has a field that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def contradictions(cls, written: Mapping[str, Any]) -> Iterable[Contradiction]:  # noqa: ARG003 - for its heirs
        """What fields say against one another: told with what is wrong within them, so it is found in what was sent.

        What cannot be read is passed over: its own field tells of it.
        """
        return ()

    @model_validator(mode="wrap")
    @classmethod
    def _tell_everything(cls, written: Any, read: ModelWrapValidatorHandler[Self]) -> Self:  # noqa: ANN401 - any JSON
        found = list(cls.contradictions(written)) if isinstance(written, Mapping) else []
        try:
            value = read(written)
        except ValidationError as errors:
            raise (_joined(cls.__name__, errors, found) if found else errors) from None
        if found:
            raise _joined(cls.__name__, None, found)
        return value


def read_model(model: type[_Model], written: Any, further: Iterable[Contradiction] = ()) -> _Model:  # noqa: ANN401 - any JSON
    """Read what a user wrote.

    Args:
        model: what it should be.
        written: JSON as it was sent.
        further: what else is known to be wrong with it.

    Raises:
        Invalid: with every fault at once.
    """
    found = list(further)
    try:
        value = model.model_validate(written)
    except ValidationError as errors:
        found = [*_told(errors), *found]
    else:
        if not found:
            return value
    raise Invalid("the body is not valid", faults=[Fault(pointer(where, written), what) for where, what in found])


def faults_in(model: type[BaseModel], written: Any) -> Iterator[Contradiction]:  # noqa: ANN401 - any JSON
    """What is wrong with something that stands within something else, seen from there."""
    try:
        model.model_validate(written)
    except ValidationError as errors:
        yield from _told(errors)


def _told(errors: ValidationError) -> Iterator[Contradiction]:
    return ((each["loc"], each["msg"].removeprefix("Value error, ")) for each in errors.errors())


def _joined(title: str, errors: ValidationError | None, contradictions: Iterable[Contradiction]) -> ValidationError:
    """One error of what fields found wrong with themselves and what contradicts something else."""
    own = errors.errors() if errors else []
    found = [(each["type"], each["msg"], each["loc"], each["input"]) for each in own]
    found += [("contradiction", what, where, None) for where, what in contradictions]
    details = [
        InitErrorDetails(type=PydanticCustomError(kind, "{said}", {"said": said}), loc=where, input=given)
        for kind, said, where, given in found
    ]
    return ValidationError.from_exception_data(title, details)


def pointer(location: tuple[int | str, ...], written: Any) -> str:  # noqa: ANN401 - any JSON
    """The JSON pointer (RFC 6901) of a fault; pydantic also names the model that it chose, which is not in the JSON."""
    found = ""
    for place, step in enumerate(location):
        if not isinstance(written, Mapping | list):
            break  # there is nothing within it
        last = place == len(location) - 1
        if isinstance(written, Mapping) and step not in written and not last:
            continue
        found += "/" + str(step).replace("~", "~0").replace("/", "~1")
        written = _within(written, step)
    return found


def _within(written: Any, step: int | str) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(written, Mapping):
        return written.get(str(step))
    inside = isinstance(written, list) and isinstance(step, int) and step < len(written)
    return written[step] if inside else None
