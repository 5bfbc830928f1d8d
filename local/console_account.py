"""Who may log in to the console of a fresh platform: one operator, with a temporary password."""

from pathlib import Path
from typing import Final

from local.secret_files import write_private
from local.seed import ACTOR, OPERATOR
from vns.access.service import Access
from vns.crypto.rules import KeyRing
from vns.errors import NotFound
from vns.numbering.rules import parse
from vns.pools.rules import PoolChange
from vns.pools.service import Pools
from vns.storage.clock import Clock
from vns.storage.database import Database
from vns.users.rules import NewUser, Role
from vns.users.service import Users

LOGIN: Final = "admin"
MOBILE: Final = "010-9000-0000"  # the simulated SMSC keeps what is sent there
OWN_NUMBER: Final = "18779999"  # the platform's own: codes are spoken and sent from it
OWN_POOL: Final = "1877"


async def seed_console(database_url: str, run_dir: Path, keys_file: Path) -> str:
    """The temporary password, as it was when the account was made: it has to be changed at the first login."""
    database = await Database.open(database_url, size=2)
    try:
        clock = Clock()
        users = Users(database, KeyRing.load(keys_file), clock)
        kept = run_dir / "secrets" / "console-password"
        if kept.exists() and await _exists(users):
            return kept.read_text()
        if await _exists(users):
            issued = await users.reset_password(ACTOR, (await users.by_login(LOGIN)).id)
        else:
            operator = await Access(database, clock).get_tenant(OPERATOR.code)
            await _reserve_own_number(Pools(database, clock))
            new = NewUser(login=LOGIN, role=Role.OPERATOR, name="운영 담당자", mobile=parse(MOBILE))
            issued = await users.create(ACTOR, operator, new)
        kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(kept, issued.password)
        return issued.password
    finally:
        await database.close()


async def _exists(users: Users) -> bool:
    try:
        await users.by_login(LOGIN)
    except NotFound:
        return False
    return True


async def _reserve_own_number(pools: Pools) -> None:
    """Nobody else is given the number. Where the operator has pools of its own, it names a number of its own too."""
    try:
        pool = await pools.get(OWN_POOL)
    except NotFound:
        return
    number = parse(OWN_NUMBER).key
    if number in pool:
        await pools.change(ACTOR, pool.id, PoolChange(reserve=(number,)))
