"""What a fresh platform starts with: three tenants with keys, and a pool for each service. Safe to run again."""

from dataclasses import dataclass
from pathlib import Path

from local.secret_files import write_private
from vns.access.rules import NewTenant, TenantKind
from vns.access.service import Access
from vns.errors import Forbidden, NotFound, Unauthorized
from vns.pools.rules import NewPool, Pool, PoolChange, Service, range_of
from vns.pools.service import Pools
from vns.storage.clock import Clock
from vns.storage.database import Database

ACTOR = "seed"
MALL = NewTenant(code="demo-mall", name="데모 쇼핑몰", kind=TenantKind.MALL)
COURIER = NewTenant(code="demo-courier", name="데모 택배", kind=TenantKind.COURIER)
OPERATOR = NewTenant(code="operator", name="운영자", kind=TenantKind.OPERATOR)


OWN_BLOCK = "demo: the operator's own block"


@dataclass(frozen=True, kw_only=True)
class SeedPool:
    """Proofs: where it is filed that numbers of the pool may send texts, and that they may be shown on calls."""

    name: str
    service: Service
    first: str
    last: str
    sms_sender_proof: str | None = None
    voice_proof: str = OWN_BLOCK


POOLS = (
    SeedPool(name="050", service=Service.PERSONAL, first="0504-1000-0000", last="0504-1099-9999"),
    SeedPool(
        name="070",
        service=Service.VOIP,
        first="070-8000-0000",
        last="070-8009-9999",
        sms_sender_proof=OWN_BLOCK,
    ),
    SeedPool(
        name="1877",
        service=Service.REPRESENTATIVE,
        first="1877-0000",
        last="1877-9999",
        sms_sender_proof=OWN_BLOCK,
    ),
)


@dataclass(frozen=True, kw_only=True)
class SeedKeys:
    """The secrets of the three tenants' keys, in clear: for var/dev/credentials.json only."""

    mall: str
    courier: str
    operator: str

    def __repr__(self) -> str:
        return "SeedKeys(…)"


async def seed(database_url: str, run_dir: Path) -> SeedKeys:
    """Create what is missing; a key whose secret is kept in `run_dir` and still works is kept."""
    database = await Database.open(database_url, size=2)
    try:
        clock = Clock()
        access, pools = Access(database, clock), Pools(database, clock)
        keys = SeedKeys(
            mall=await _tenant_key(access, MALL, run_dir),
            courier=await _tenant_key(access, COURIER, run_dir),
            operator=await _tenant_key(access, OPERATOR, run_dir),
        )
        await access.grant_lookup(ACTOR, courier=COURIER.code, mall=MALL.code)
        for pool in POOLS:
            await _pool(database, pools, pool)
        return keys
    finally:
        await database.close()


async def _tenant_key(access: Access, tenant: NewTenant, run_dir: Path) -> str:
    try:
        await access.get_tenant(tenant.code)
    except NotFound:
        await access.create_tenant(ACTOR, tenant)
    kept = run_dir / "secrets" / f"key-{tenant.code}"
    if kept.exists() and await _works(access, kept.read_text()):
        return kept.read_text()
    issued = await access.issue_key(ACTOR, tenant.code)
    kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(kept, issued.secret)
    return issued.secret


async def _works(access: Access, secret: str) -> bool:
    try:
        await access.authenticate(secret)
    except Forbidden:  # the tenant is suspended: somebody wanted that
        return True
    except Unauthorized:
        return False
    return True


async def _pool(database: Database, pools: Pools, pool: SeedPool) -> None:
    try:
        found = await pools.get(pool.name)
        if found.voice_proof is None and not await _withdrawn(database, found):
            # made before calls were asked for a proof
            await pools.change(ACTOR, found.id, PoolChange(voice_proof=pool.voice_proof))
    except NotFound:
        first, last = range_of(pool.service, pool.first, pool.last)
        await pools.create(
            ACTOR,
            NewPool(
                name=pool.name,
                service=pool.service,
                first=first,
                last=last,
                sms_sender_proof=pool.sms_sender_proof,
                voice_proof=pool.voice_proof,
            ),
        )


async def _withdrawn(database: Database, pool: Pool) -> bool:
    """Somebody has taken its proof away, and it is not for the seed to say otherwise."""
    async with database.connection() as connection:
        taken: bool = await connection.fetchval(
            "select exists (select from journal where subject = $1 and event = 'pool.changed' and data ? 'withdrawn')",
            pool.id,
        )
    return taken
