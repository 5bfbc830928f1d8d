"""The floors in Python: what a handler without any of the platform's care would do, and one that does nothing.

VNS_DATABASE_URL=… uvicorn loadtests.plain_handler:app
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from fastapi import FastAPI, Request
from pydantic import BaseModel

TABLES = """
drop table if exists num, lease;
create table num (n bigint primary key, pool int, free_at timestamptz, leased bool);
insert into num select 50400000000 + g, 1, timestamptz '2026-01-01' + g * interval '1 ms', false
    from generate_series(1, 1000000) g;
create index on num (pool, free_at) where not leased;
create table lease (id uuid primary key, n bigint, a bytea, b bytea, made_at timestamptz, ends_at timestamptz);
create index on lease (n);
create index on lease (made_at);
vacuum analyze num;
"""

LEASE = """
with picked as (
    select n from num where pool = 1 and not leased order by free_at limit 1 for update skip locked
), marked as (
    update num set leased = true from picked where num.n = picked.n returning num.n
)
insert into lease
select gen_random_uuid(), n, decode(repeat('ab', 24), 'hex'), decode(repeat('cd', 32), 'hex'), now(),
       now() + interval '14 days'
from marked returning n
"""


class Wanted(BaseModel):
    real_number: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ["VNS_DATABASE_URL"], min_size=8, max_size=8) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/lease")
async def lease(wanted: Wanted, request: Request) -> dict[str, str]:
    number = await request.app.state.pool.fetchval(LEASE)
    return {"virtual_number": f"0{number}", "real_number": wanted.real_number[-4:]}


@app.get("/empty")
async def empty() -> dict[str, str]:
    return {"status": "ok"}
