"""A process that does a job while it holds the lease: job_process.py URL. Each of its changes adds a row to ``done``."""

import asyncio
import os
import sys
from contextlib import closing

from sqlalchemy import Column, Connection, Integer, MetaData, Table, insert

from likeness.errors import ServiceUnavailable
from likeness.store.database import Database
from likeness.store.sharing.holding import LeaseHolder
from likeness.store.sharing.leases import HELD

done = Table(
    "done",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("process", Integer, nullable=False),
    Column("number", Integer, nullable=False),
)


async def work(database: Database) -> None:
    lease = HELD.get()
    assert lease

    def change(connection: Connection) -> None:
        connection.execute(insert(done).values(process=os.getpid(), number=lease.number))

    while True:
        try:
            await database.write(change)
        except ServiceUnavailable:
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.01)


if __name__ == "__main__":
    with closing(Database(sys.argv[1])) as database:
        asyncio.run(LeaseHolder(database).while_held("job", lambda: work(database)))
