"""Faults of load: what holds connections, and what runs on and on."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg

from opsnb.local.faults.registry import fault
from opsnb.local.state import Context

RUNAWAY_AGE_S = 3.2
"""The local environment calls a statement runaway from 3 s on."""


@fault("Almost every connection of the pool is taken and not given back.", "health.pool")
async def pool_exhausted(context: Context) -> None:
    """Somebody leaks connections: all but one of the pool are checked out."""
    assert context.rest is not None
    pool = context.rest.pool
    taken = asyncio.Event()

    async def hold() -> None:
        connections: list[psycopg.AsyncConnection[Any]] = []
        try:
            while len(connections) < pool.max_size - 1:
                connections.append(await pool.getconn())
            taken.set()
            await asyncio.Event().wait()
        finally:
            for connection in connections:
                await pool.putconn(connection)

    context.spawn(hold())
    await asyncio.wait_for(taken.wait(), 10)


@fault("A statement has been running for longer than any should.", "health.runaway", "health.stuck")
async def runaway_query(context: Context) -> None:
    """A session that goes on and on. It waits in between: a target left alone over night keeps its processor and its disk."""

    async def run_on() -> None:
        async with await context.connect() as connection:
            await connection.execute("do $$ begin loop perform pg_sleep(0.2); end loop; end $$")

    context.spawn(run_on())
    await asyncio.sleep(RUNAWAY_AGE_S)


SETTING = "update public.app_settings set value = value where key = (select min(key) from public.app_settings)"
"""Takes the lock of one row, and changes nothing."""


@fault("A transaction was left open and does nothing.", "health.stuck")
async def idle_in_transaction(context: Context) -> None:
    """Somebody went to lunch in the middle of one."""

    async def leave_open() -> None:
        async with await context.connect() as connection, connection.transaction():
            await connection.execute(SETTING)
            await asyncio.Event().wait()

    context.spawn(leave_open())
    await asyncio.sleep(RUNAWAY_AGE_S)


@fault("One session waits for another, which waits for nobody.", "health.stuck", "health.runaway")
async def lock_chain(context: Context) -> None:
    """Two writers of one row: the first never commits, the second waits."""

    async def write() -> None:
        async with await context.connect() as connection, connection.transaction():
            await connection.execute(SETTING)
            await asyncio.Event().wait()

    context.spawn(write())
    await asyncio.sleep(0.2)
    context.spawn(write())
    await asyncio.sleep(RUNAWAY_AGE_S)
