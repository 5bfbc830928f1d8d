"""Single values of an npro.conf: numbers, switches, times of day. Each error names the key and never the value."""

from collections.abc import Mapping
from typing import Final, TypeVar

from sms_relay.standalone.errors import ConfRefused, Refusal
from sms_relay.standalone.keys import KEYS

T = TypeVar("T")

SWITCH: Final = {
    **dict.fromkeys(("ON", "Y", "YES", "1", "TRUE"), True),
    **dict.fromkeys(("OFF", "N", "NO", "0", "FALSE"), False),
}


class Values:
    """An empty value is the same as none. `asked`: the names of keys the program has looked for."""

    def __init__(self, lines: Mapping[str, str]) -> None:
        """Raises ConfRefused for keys that nobody knows: a misspelt limit must not be taken for none."""
        for key in lines:
            if not any(known.covers(key) for known in KEYS):
                raise ConfRefused(Refusal.UNKNOWN, f"{key} is no key of npro.conf")
        self._lines = {key: value for key, value in lines.items() if value}
        self.asked: set[str] = set()

    def text(self, key: str) -> str | None:
        self.asked.add(key)
        return self._lines.get(key)

    def needed(self, key: str) -> str:
        found = self.text(key)
        if found is None:
            raise ConfRefused(Refusal.MISSING, f"{key} is missing")
        return found

    def number(self, key: str, default: float, least: float, most: float) -> float:
        found = self.text(key)
        if found is None:
            return default
        try:
            value = float(found)
        except ValueError:
            raise self.bad(key, "a number") from None
        if not least <= value <= most:
            raise self.bad(key, f"a number from {least:g} to {most:g}")
        return value

    def whole(self, key: str, default: int, least: int, most: int) -> int:
        value = self.number(key, default, least, most)
        if value != int(value):
            raise self.bad(key, "a whole number")
        return int(value)

    def choice(self, key: str, choices: Mapping[str, T], default: T) -> T:
        found = self.text(key)
        if found is None:
            return default
        if found.upper() not in choices:
            raise self.bad(key, f"one of {', '.join(choices)}")
        return choices[found.upper()]

    def switch(self, key: str, *, default: bool) -> bool:
        return self.choice(key, SWITCH, default)

    def minute(self, key: str) -> int | None:
        """HHMM as minutes after midnight."""
        found = self.text(key)
        if found is None:
            return None
        digits = found.zfill(4)
        minutes = int(digits[:2]) * 60 + int(digits[2:]) if digits.isascii() and digits.isdigit() else -1
        if len(digits) != 4 or int(digits[2:]) > 59 or minutes > 24 * 60:
            raise self.bad(key, "a time from 0000 to 2400")
        return minutes

    def named(self, stem: str) -> dict[str, str]:
        """`stem.X` by X in upper case."""
        self.asked.add(f"{stem}.X")
        prefix = f"{stem}."
        return {key.removeprefix(prefix).upper(): value for key, value in self._lines.items() if key.startswith(prefix)}

    def numbered(self, stem: str) -> dict[int, str]:
        """`stem.N` or `stemN` by N."""
        self.asked.add(f"{stem}.N")
        found = (
            (key.removeprefix(stem).removeprefix("."), value)
            for key, value in self._lines.items()
            if key.startswith(stem)
        )
        return {int(number): value for number, value in sorted(found) if number.isdigit()}

    def bad(self, key: str, wanted: str) -> ConfRefused:
        return ConfRefused(Refusal.BAD_VALUE, f"{key} must be {wanted}")
