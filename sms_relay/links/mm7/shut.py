"""A door that is shut for one message: a filter before the MMSC that dislikes what it holds answers as a wrong address
does. Pure.
"""

from collections import OrderedDict
from typing import Final

MOST_TIMES: Final = 3
"""How often a message finds the door shut that lets others in, until it is the message's own fault."""

REMEMBERED: Final = 1_000  # messages


class ShutOut:
    """Messages that were shut out, by name. Time does not count: a door that is shut for all costs no message."""

    def __init__(self) -> None:
        self._let_in = 0
        self._shut_out: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def let_in(self, name: str) -> None:
        """The MMSC itself has answered."""
        self._let_in += 1
        self._shut_out.pop(name, None)

    def at_fault(self, name: str) -> bool:
        """This message was shut out once more. Whether by its own fault: each time others were let in before."""
        times, then = self._shut_out.pop(name, (0, -1))
        if then < self._let_in:
            times += 1
        if times >= MOST_TIMES:
            return True
        self._shut_out[name] = (times, self._let_in)
        if len(self._shut_out) > REMEMBERED:
            self._shut_out.popitem(last=False)
        return False
