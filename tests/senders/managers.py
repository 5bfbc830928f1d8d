"""A tenant's manager as tests need one: papers, the code, and an operator who approves."""

from uuid import UUID

from tests.core_world import World
from tests.senders.codes import last_code
from vns.senders.evidence import Paper
from vns.senders.manager_rules import Manager
from vns.senders.managers import Managers
from vns.verifications.settings import VerificationSettings

SHOWN, TENANT, OPERATOR = "070-8000-0019", "user:tenant", "user:operator"
NAME, MOBILE = "김담당", "010-9876-5432"
EMPLOYMENT = b"%PDF-1.7\ncertificate of employment\n%%EOF\n"
ATTORNEY = b"%PDF-1.7\npower of attorney\n%%EOF\n"


def managers_of(world: World, shown: str | None = SHOWN) -> Managers:
    return Managers(world.db, world.keyring, world.clock, VerificationSettings(verification_caller_id=shown))


async def submitted(world: World, tenant_id: UUID) -> Manager:
    managers = managers_of(world)
    await managers.designate(TENANT, tenant_id, NAME, MOBILE)
    await managers.send_code(TENANT, tenant_id)
    await managers.confirm(TENANT, tenant_id, (await last_code(world.db, world.keyring))[1])
    await managers.upload(TENANT, tenant_id, Paper.EMPLOYMENT, EMPLOYMENT)
    await managers.upload(TENANT, tenant_id, Paper.ATTORNEY, ATTORNEY)
    return await managers.submit(TENANT, tenant_id)


async def approved(world: World, tenant_id: UUID) -> Manager:
    made = await submitted(world, tenant_id)
    return await managers_of(world).approve(OPERATOR, tenant_id, made.id)
