"""Names and values from a YAML file, read event by event: nothing that the file can ask for is built."""

from collections.abc import Iterator

import yaml

from fairprof.errors import UserError

MAX_BYTES = 2**16  # of a file: a line for each value


def pairs_of(content: bytes, place: str) -> dict[str, str]:
    """The names and values of one flat mapping, as texts: settings read them as they read those of a command line.

    place: where the content is from, for messages. Raises `UserError` for whatever else YAML has: lists and mappings as
    values, aliases, tags, a name that occurs twice, several documents; and for bytes that are neither UTF-8 nor YAML.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{place} is not UTF-8 text (byte {error.start + 1}): save it as UTF-8") from None
    try:
        return _pairs(yaml.parse(text, Loader=yaml.SafeLoader), place)
    except yaml.YAMLError as error:
        raise UserError(f"{place} is not YAML ({' '.join(str(error).split())[:100]})") from None


def _pairs(events: Iterator[yaml.Event], place: str) -> dict[str, str]:
    values: dict[str, str] = {}
    _expect(events, place, yaml.StreamStartEvent, yaml.DocumentStartEvent, yaml.MappingStartEvent)
    while isinstance(name := next(events), yaml.ScalarEvent):
        value = next(events)
        if not isinstance(value, yaml.ScalarEvent) or name.tag or value.tag:
            raise _not_flat(value, place)
        if name.value in values:
            raise UserError(f"{place}, line {_line(name)}: {name.value:.80} occurs twice: remove one")
        values[name.value] = value.value
    if not isinstance(name, yaml.MappingEndEvent):
        raise _not_flat(name, place)
    _expect(events, place, yaml.DocumentEndEvent, yaml.StreamEndEvent)
    return values


def _expect(events: Iterator[yaml.Event], place: str, *kinds: type[yaml.Event]) -> None:
    for kind in kinds:
        if not isinstance(event := next(events), kind):
            raise _not_flat(event, place)


def _not_flat(event: yaml.Event, place: str) -> UserError:
    return UserError(
        f"{place}, line {_line(event)}, does not hold names and values alone, such as `learning_rate: 0.001`"
    )


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1
