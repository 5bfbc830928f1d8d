"""Rules of bindings and pools as JSON: one object, checked by the core field by field."""

from typing import Annotated, Any, Final

from pydantic import Field, WithJsonSchema

from vns.rulebook.rules import (
    DAYS,
    LONGEST_CALL,
    LONGEST_RING,
    MOST_CALLS,
    MOST_DATES,
    MOST_WINDOWS,
    PROMPTED,
    SHORTEST_CALL,
    SHORTEST_RING,
    Direction,
    Switch,
)

_TIME: Final = {"type": "string", "pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"}
_WINDOWS: Final = {
    "type": "array",
    "maxItems": MOST_WINDOWS,
    "items": {"type": "array", "minItems": 2, "maxItems": 2, "items": _TIME},
}
_PROMPT: Final = {"type": "string", "format": "uuid"}
_SWITCH: Final = {"type": ["boolean", "null"]}


def _some_of(names: type[Direction | Switch]) -> dict[str, Any]:
    return {"type": ["array", "null"], "minItems": 1, "items": {"enum": [name.value for name in names]}}


def _whole(least: int, most: int) -> dict[str, Any]:
    return {"type": ["integer", "null"], "minimum": least, "maximum": most}


_EXAMPLE: Final[dict[str, Any]] = {
    "hours": {"open": {"mon": [["09:00", "18:00"]], "fri": [["22:00", "02:00"]]}, "holidays": "closed"},
    "max_seconds": 600,
    "concurrent_calls": 2,
}

RULES_SCHEMA: Final[dict[str, Any]] = {
    "type": ["object", "null"],
    "additionalProperties": False,
    "examples": [_EXAMPLE],
    "properties": {
        "directions": {**_some_of(Direction), "description": "Who may be called; by default both."},
        "channels": {**_some_of(Switch), "description": "By default both."},
        "hours": {
            "type": ["object", "null"],
            "additionalProperties": False,
            "minProperties": 1,
            "description": "In Korean time. A day that `open` leaves out is closed; a window may go past midnight.",
            "properties": {
                "open": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": dict.fromkeys(DAYS, _WINDOWS),
                },
                "holidays": {
                    "enum": ["open", "closed"],
                    "description": "On Korean public holidays; `open` by default.",
                },
                "closed_dates": {
                    "type": "array",
                    "maxItems": MOST_DATES,
                    "items": {"type": "string", "format": "date"},
                },
            },
        },
        "ring_seconds": {**_whole(SHORTEST_RING, LONGEST_RING), "description": "How long the called phone rings."},
        "max_seconds": {**_whole(SHORTEST_CALL, LONGEST_CALL), "description": "Longest talk."},
        "concurrent_calls": {**_whole(1, MOST_CALLS), "description": "Calls at a time on the virtual number."},
        "fallback_number": {
            "type": ["string", "null"],
            "minLength": 1,
            "maxLength": 64,
            "description": "Who answers once the binding has ended. Leaves masked.",
        },
        "missed_call_text": {**_SWITCH, "description": "Tell the owner of missed calls by text."},
        "ended_text": {**_SWITCH, "description": "Answer texts to the number once it has ended, once a day each."},
        "prompts": {
            "type": ["object", "null"],
            "additionalProperties": False,
            "description": "Prompts to play instead of the platform's, by reason.",
            "properties": dict.fromkeys(sorted(PROMPTED), _PROMPT),
        },
        "ringback": {
            "type": ["string", "null"],
            "format": "uuid",
            "description": "Prompt instead of the ringing tone.",
        },
        "intercept": {**_SWITCH, "description": "False: do not ask the tenant's hook."},
        "record": {**_SWITCH, "description": "Record calls; off by default."},
    },
}

RulesIn = Annotated[
    dict[str, Any],
    WithJsonSchema({**RULES_SCHEMA, "type": "object"}),
    Field(description="Rules; docs/rules.md explains each. In a change, null takes a field away."),
]
"""As they come in; the core checks them: `vns.rulebook.documents.checked`."""

RulesOut = Annotated[dict[str, Any], WithJsonSchema({**RULES_SCHEMA, "type": "object"})]
"""As they go out: the fallback number is masked."""
