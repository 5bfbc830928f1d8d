"""The Asterisks that a bridge supervises, each over a connection of its own.

Every bridge supervises every Asterisk: whichever bridge is left can cut, reconcile and verify, and what two do at once
is done once (the database sees to it).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ivr.ami.supervisor import AmiSupervisor
from ivr.callids import system_of
from ivr.nodes import Node


@dataclass(frozen=True, slots=True)
class Asterisk:
    node: Node
    ami: AmiSupervisor


class Asterisks:
    """All of one installation."""

    def __init__(self, asterisks: Sequence[Asterisk]) -> None:
        self._all = tuple(asterisks)
        self._turn = 0

    @classmethod
    def of(cls, nodes: Sequence[Node]) -> "Asterisks":
        return cls([Asterisk(node, AmiSupervisor(node.ami_url, name=node.name)) for node in nodes])

    def __iter__(self) -> Iterator[Asterisk]:
        return iter(self._all)

    @property
    def names(self) -> frozenset[str] | None:
        """None: the only one, whatever it is called."""
        named = frozenset(asterisk.node.name for asterisk in self._all if asterisk.node.name is not None)
        return named or None

    def with_channel(self, channel: str) -> AmiSupervisor | None:
        """The one to which a channel's unique id belongs; None: no setting names it."""
        for asterisk in self._all:
            if asterisk.node.name in {None, system_of(channel)}:
                return asterisk.ami
        return None

    def next_ready(self) -> AmiSupervisor | None:
        """Whose turn it is to make a call of our own. None: there is no connection to any."""
        waiting = self._all[self._turn :] + self._all[: self._turn]
        return next((asterisk.ami for asterisk in waiting if asterisk.ami.ready), None)

    def had_its_turn(self, ami: AmiSupervisor) -> None:
        places = [place for place, asterisk in enumerate(self._all) if asterisk.ami is ami]
        self._turn = (places[0] + 1) % len(self._all)
