"""What the routes work with: the core's services of one process, opened and closed together."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.requests import Request

from api.console.counts import HourCounts
from api.console.settings import ConsoleSettings
from api.limits import RateLimiter
from api.metrics import HttpMetrics
from api.routes.bindings.schemas import render
from api.routes.deliveries.lookups import Lookups
from api.routes.messages.schemas import render as render_message
from api.settings import ApiSettings
from vns.access.audit import Audit
from vns.access.service import Access
from vns.bindings.reveal import Reveals
from vns.bindings.service import Bindings
from vns.calls.service import Calls
from vns.crypto.rules import KeyRing
from vns.errors import Unavailable
from vns.messages.service import Messages
from vns.messages.settings import MessageSettings
from vns.pools.occupancy import Occupancy
from vns.pools.service import Pools
from vns.prompts.service import Prompts
from vns.recordings.service import Recordings
from vns.routing.blocks import Blocks
from vns.routing.explanation import Explainer
from vns.routing.hooks import Hooks
from vns.routing.service import Router
from vns.senders.accounts import Accounts
from vns.senders.applications import Applications
from vns.senders.documents import Documents
from vns.senders.exemptions import Exemptions
from vns.senders.managers import Managers
from vns.senders.proving import Proving
from vns.senders.selections import Selections
from vns.senders.service import Senders
from vns.settings import Settings
from vns.storage.clock import Clock
from vns.storage.copies import CopyStore
from vns.storage.database import Database
from vns.storage.revocation import Revocations
from vns.users.service import Users
from vns.users.sessions import Sessions
from vns.verifications.settings import VerificationSettings

log = logging.getLogger(__name__)

_CLOSE_TIMEOUT = 0.6  # seconds for each part; what is then under way is cut


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """One process's share of the platform."""

    settings: ApiSettings
    database: Database
    access: Access
    bindings: Bindings
    lookups: Lookups
    pools: Pools
    blocks: Blocks
    hooks: Hooks
    calls: Calls
    messages: Messages
    prompts: Prompts
    recordings: Recordings
    limiter: RateLimiter
    metrics: HttpMetrics
    clock: Clock
    console: ConsoleSettings
    audit: Audit
    counts: HourCounts
    explainer: Explainer
    occupancy: Occupancy
    reveals: Reveals
    senders: Senders
    proving: Proving
    documents: Documents
    accounts: Accounts
    applications: Applications
    exemptions: Exemptions
    managers: Managers
    selections: Selections
    users: Users
    sessions: Sessions


@asynccontextmanager
async def opened(core: Settings, settings: ApiSettings, metrics: HttpMetrics, clock: Clock) -> AsyncIterator[Services]:
    """Open everything, waiting for PostgreSQL as long as the settings say. Raises Unavailable."""
    keyring = KeyRing.load(core.keys_file)
    database = await _patiently(core, settings)
    limiter = RateLimiter(core.redis_url, timeout=settings.redis_timeout, metrics=metrics)
    router, texts = Router(keyring), MessageSettings()
    codes = VerificationSettings()
    store = CopyStore(core.redis_url)
    copies = Revocations(database, store, clock)
    bindings = Bindings(database, keyring, clock, render=render, copies=copies)
    lookups = Lookups(bindings)
    try:
        yield Services(
            settings=settings,
            database=database,
            access=Access(database, clock),
            bindings=bindings,
            lookups=lookups,
            pools=Pools(database, clock, keyring, copies),
            blocks=Blocks(database, keyring, clock, copies),
            hooks=Hooks(database, keyring, clock, copies),
            calls=Calls(database, router, clock),
            messages=Messages(
                database,
                router,
                keyring,
                clock,
                policy=texts.unencodable,
                daily_limit=texts.sender_daily_limit,
                render=render_message,
            ),
            prompts=Prompts(database, clock),
            recordings=Recordings(database, keyring, clock),
            limiter=limiter,
            metrics=metrics,
            clock=clock,
            console=ConsoleSettings(),
            audit=Audit(database),
            counts=HourCounts(clock),
            explainer=Explainer(database, router, clock),
            occupancy=Occupancy(database, clock),
            reveals=Reveals(database, keyring, clock),
            senders=Senders(database, keyring, clock),
            accounts=Accounts(database, clock),
            documents=Documents(database, keyring, clock),
            proving=Proving(database, keyring, clock, codes),
            applications=Applications(database, keyring, clock),
            exemptions=Exemptions(database, clock),
            managers=Managers(database, keyring, clock, codes),
            selections=Selections(database, keyring, clock, codes),
            users=Users(database, keyring, clock),
            sessions=Sessions(database, keyring, clock, sender=codes.verification_caller_id),
        )
    finally:
        await _end("allocations under way", bindings.close())
        await _end("look-ups under way", lookups.close())
        await _end("rate limits", limiter.close())
        await _end("copies", store.close())
        await _end("statements under way", database.close())


async def _patiently(core: Settings, settings: ApiSettings) -> Database:
    deadline = asyncio.get_running_loop().time() + settings.http_start_timeout
    while True:
        try:
            return await Database.open(
                core.database_url, size=core.database_pool_size, statement_timeout=settings.http_statement_timeout
            )
        except Unavailable:
            if asyncio.get_running_loop().time() >= deadline:
                raise
            log.warning("PostgreSQL does not answer yet")
            await asyncio.sleep(0.5)


async def _end(what: str, ending: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(_CLOSE_TIMEOUT):
            await ending
    except TimeoutError:
        log.warning("%s were cut on closing", what)


def services_of(request: Request) -> Services:
    """The services that the request's application has opened."""
    found: Services = request.app.state.services
    return found
