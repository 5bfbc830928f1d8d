"""What each role may do in the console: one table, and nothing about roles anywhere else."""

from enum import StrEnum
from types import MappingProxyType
from typing import Final

from vns.users.rules import Role


class May(StrEnum):
    """Something that a page or a form of it needs."""

    SEE_BINDINGS = "see_bindings"
    RELEASE = "release"
    REVEAL = "reveal"
    ALLOCATE = "allocate"
    SEE_TRAFFIC = "see_traffic"
    SEE_POOLS = "see_pools"
    SEE_SENDERS = "see_senders"
    MANAGE_SENDERS = "manage_senders"  # register, prove, delete
    SEE_AUDIT = "see_audit"
    MANAGE_KEYS = "manage_keys"
    MANAGE_PEOPLE = "manage_people"
    OPERATE = "operate"  # tenants, quotas, grants, approvals, and looking into any tenant


_EVERYBODY_OF_A_MALL: Final = frozenset({May.SEE_BINDINGS, May.SEE_TRAFFIC, May.SEE_POOLS, May.SEE_SENDERS})

PERMISSIONS: Final = MappingProxyType(
    {
        Role.OPERATOR: frozenset(May),
        Role.MALL_ADMIN: frozenset(May) - {May.OPERATE},
        Role.MALL_USER: _EVERYBODY_OF_A_MALL | {May.RELEASE, May.ALLOCATE},
        Role.SENDER_MANAGER: frozenset({May.SEE_SENDERS, May.MANAGE_SENDERS}),
        Role.READ_ONLY: _EVERYBODY_OF_A_MALL,
    }
)


def may(role: Role, what: May) -> bool:
    return what in PERMISSIONS[role]
