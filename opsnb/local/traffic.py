"""A working clinic: real calls of its functions by synthetic patients and providers, each with a token of their own.

`backfill` makes the last half hour: every call is made now, through the gateway, and really does its work; only the
times in the logs are spread over the past, by the gateway's control clock. A light trickle follows while the target is up.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

import psycopg

if TYPE_CHECKING:
    from opsnb.local.state import Context

MINUTES = 30.0
CALLS = 360
"""299 without an error show a rate under 1 %; these leave room."""
CONCURRENCY = 6
TRICKLE_S = 3.0
SEED = 20260117
VISITS = 1000

State = Literal["idle", "filling", "ready"]

# out of ten calls: the record is opened more often than it is written
MIX = (
    "get-patient-history", "create-context-snapshot", "get-patient-history", "generate-soap-draft-v2", "update-patient-medical-record",
    "get-patient-history", "create-context-snapshot", "generate-soap-draft-v2", "update-patient-medical-record", "get-patient-history",
)  # fmt: skip
BY_PATIENT = 5
"""One in so many histories is opened by the patient, the others by their provider."""

# Each patient's last signed note, with who wrote it: merging it again tells nothing new, but does all the work. Only the
# synthetic population: the probes' people are the probes', and the records of end-to-end tests must stay removable.
PEOPLE = """
select distinct on (n.patient_id) n.id::text as note, n.appointment_id::text as appointment, n.patient_id::text as patient,
       patient.firebase_uid as patient_uid, provider.firebase_uid as provider_uid
from public.soap_notes n
join public.appointments a on a.id = n.appointment_id and a.status = 'completed'
join public.users patient on patient.id = n.patient_id and patient.email like 'patient-%%@example.org'
join public.users provider on provider.id = n.provider_id and provider.email like 'provider-%%@example.org'
where n.status = 'signed'
order by n.patient_id, n.signed_at desc, n.id
limit %(visits)s
"""


@dataclass(frozen=True, slots=True)
class Visit:
    """One appointment of one patient and what the clinic does about it. Uids are Firebase's."""

    note: str
    appointment: str
    patient: str
    patient_uid: str
    provider_uid: str

    def body(self, slug: str) -> dict[str, str]:
        """What *slug* is asked."""
        if slug == "update-patient-medical-record":
            return {"soapNoteId": self.note}
        if slug == "get-patient-history":
            return {"patientId": self.patient, "appointmentId": self.appointment}
        return {"appointmentId": self.appointment}


class Traffic:
    """The callers of *context*'s gateway. `state` is idle, filling or ready; `calls` and `failures` count since `start`.

    `start` and `stop` may follow each other as often as the target is reset.
    """

    def __init__(self, context: Context, *, minutes: float = MINUTES, calls: int = CALLS, trickle_s: float = TRICKLE_S) -> None:
        self.state: State = "idle"
        self.calls = 0
        self.failures = 0
        self._context = context
        self._minutes = minutes
        self._backfill_calls = calls
        self._trickle_s = trickle_s
        self._task: asyncio.Task[None] | None = None
        self._visits: Iterator[Visit] | None = None
        self._slugs = itertools.cycle(MIX)
        self._histories = 0

    async def start(self) -> None:
        """Fills the past in the background and goes on from there; returns at once."""
        await self.stop()
        self.calls = self.failures = 0
        self._visits = None
        self._slugs = itertools.cycle(MIX)
        self.state = "filling"
        self._task = asyncio.create_task(self._run(), name="traffic")

    async def stop(self) -> None:
        """Makes no further call."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])  # whatever it ended with: what failed is in the logs of the calls
            self._task = None
        self.state = "idle"

    async def backfill(self, minutes: float = MINUTES, calls: int = CALLS, *, key: str = "", token_age_s: float = 0) -> None:
        """Makes *calls* calls now, whose logs lie within the last *minutes*, evenly but for a little chance.

        *key* instead of the project's, and tokens that are *token_age_s* old, make callers that are refused.
        Raises psycopg.Error where the database does not say whom to call as.
        """
        before, self.state = self.state, "filling"
        try:
            visits = await self._people()
            chance = random.Random(SEED)  # noqa: S311  (spreads times, guards nothing)
            span = timedelta(minutes=minutes)
            start = datetime.now(UTC) - span
            moments = iter([start + span * ((number + chance.random()) / calls) for number in range(calls)])

            async def caller() -> None:
                for moment in moments:
                    await self._call(next(visits), moment, key=key, token_age_s=token_age_s)

            async with asyncio.TaskGroup() as group:
                for _ in range(CONCURRENCY):
                    group.create_task(caller())
        finally:
            self.state = before if before != "filling" else "ready"

    async def _run(self) -> None:
        while True:
            try:
                await self.backfill(self._minutes, self._backfill_calls)
                break
            except psycopg.Error:  # the database is starting or stopped: the past can wait
                self.state = "filling"
                await asyncio.sleep(self._trickle_s)
        self.state = "ready"
        visits = await self._people()
        while True:
            await asyncio.sleep(self._trickle_s)
            await self._call(next(visits), None)

    async def _people(self) -> Iterator[Visit]:
        """Visits in an order of chance, each patient once before any comes again."""
        if self._visits is None:
            rows = await self._context.rows(PEOPLE, {"visits": VISITS})
            if not rows:
                raise psycopg.DataError("the database holds no completed visit: reset the target")
            visits = [Visit(**row) for row in rows]
            random.Random(SEED).shuffle(visits)  # noqa: S311  (an order, no secret)
            self._visits = itertools.cycle(visits)
        return self._visits

    async def _call(self, visit: Visit, moment: datetime | None, *, key: str = "", token_age_s: float = 0) -> None:
        gateway, identity = self._context.gateway, self._context.identity
        if gateway is None:
            raise RuntimeError("there is no gateway to call")
        slug = next(self._slugs)
        uid = visit.provider_uid
        if slug == "get-patient-history":
            self._histories += 1
            if self._histories % BY_PATIENT == 0:
                uid = visit.patient_uid
        token = identity.issue(uid, now=time.time() - token_age_s)
        headers = {"authorization": f"Bearer {key or identity.anon_key}", "x-firebase-token": token}
        answer = await gateway.invoke(slug, json.dumps(visit.body(slug)).encode(), headers, moment=moment)
        self.calls += 1
        self.failures += answer.status_code >= 400
