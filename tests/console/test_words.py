"""What the core names and the pages show has a Korean word: a page would show the name itself, a file would break."""

from collections.abc import Mapping
from enum import StrEnum

import pytest

from api.console import words
from vns.senders.bulk import Fault
from vns.senders.evidence import Paper
from vns.senders.exemption_rules import ApplicationStatus, Route
from vns.senders.manager_rules import ManagerStatus
from vns.senders.rules import Method, Status
from vns.users.rules import Role
from vns.verifications.rules import Failure
from vns.verifications.rules import Status as CallStatus


@pytest.mark.parametrize(
    ("names", "table"),
    [
        pytest.param(set(Method), words.SENDER_METHODS, id="ways to prove a number"),
        pytest.param(set(Status) - {Status.REMOVED}, words.SENDER_STATUSES, id="states of a number"),
        pytest.param(set(ManagerStatus) - {ManagerStatus.ENDED}, words.MANAGER_STATUSES, id="states of a manager"),
        pytest.param(set(ApplicationStatus) - {ApplicationStatus.ENDED}, words.EXEMPTION_STATUSES, id="applications"),
        pytest.param(set(Route), words.EXEMPTION_ROUTES, id="routes of exemptions"),
        pytest.param(set(Paper), words.PAPERS, id="kinds of papers"),
        pytest.param(set(CallStatus) - {CallStatus.FAILED}, words.CALL_STATUSES, id="states of a call"),
        pytest.param(set(Failure), words.CALL_FAILURES, id="why a call failed"),
        pytest.param(set(Fault), words.SENDER_FAULTS, id="what is wrong with a row"),
        pytest.param(set(Role), words.ROLES, id="roles"),
    ],
)
def test_every_name_has_a_word(names: set[StrEnum], table: Mapping[str, str]) -> None:
    assert {name.value for name in names} == set(table)
