"""Logs over the Management API: ClickHouse SQL on the rows of what was really called, and counts of them."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from opsnb.local.answers import Problem
from opsnb.local.logbook import LogQueryError
from opsnb.local.state import Context

MINUTE = timedelta(minutes=1)
LONGEST = timedelta(hours=24)
DEFAULT_SQL = "select id, timestamp, event_message from logs where source = 'edge_logs' order by timestamp desc limit 100"

# Names and order as the platform's own answer; {function_id} is a validated UUID, {bucket} one of ours.
COMBINED_STATS = """
with edge as (
  select {bucket}(timestamp) as bucket, toInt32OrZero(log_attributes['response.status_code']) as status,
         toFloat64OrNull(log_attributes['execution_time_ms']) as ms
  from logs where source = 'function_edge_logs' and log_attributes['function_id'] = '{function_id}'
), calls as (
  select bucket, count() as requests_count, countIf(status >= 200 and status < 300) as success_count,
         countIf(status >= 300 and status < 400) as redirect_count, countIf(status >= 400 and status < 500) as client_err_count,
         countIf(status >= 500) as server_err_count, avg(ms) as avg_execution_time, max(ms) as max_execution_time
  from edge group by bucket
), lines as (
  select {bucket}(timestamp) as bucket, count() as log_count, countIf(log_attributes['level'] in ('info', 'log')) as log_info_count,
         countIf(log_attributes['level'] in ('warn', 'warning')) as log_warn_count,
         countIf(log_attributes['level'] = 'error') as log_error_count
  from logs where source = 'function_logs' and log_attributes['function_id'] = '{function_id}' group by bucket
)
select calls.bucket as timestamp, requests_count, success_count, redirect_count, client_err_count, server_err_count,
       avg_execution_time, max_execution_time, log_count, log_info_count, log_warn_count, log_error_count
from calls left join lines on lines.bucket = calls.bucket order by timestamp limit 1000
"""
INTERVALS = {
    "15min": (timedelta(minutes=15), "toStartOfMinute"),
    "1hr": (timedelta(hours=1), "toStartOfMinute"),
    "3hr": (timedelta(hours=3), "toStartOfMinute"),
    "1day": (timedelta(days=1), "toStartOfHour"),
}


async def logs(request: Request, context: Context) -> Response:
    """GET ``analytics/endpoints/logs``. What is wrong with the SQL arrives as ``error`` with status 200."""
    query = request.query_params
    start, end = window(query.get("iso_timestamp_start"), query.get("iso_timestamp_end"), datetime.now(UTC))
    return await _answer(context, query.get("sql") or DEFAULT_SQL, start, end)


async def combined_stats(request: Request, context: Context) -> Response:
    """GET ``analytics/endpoints/functions.combined-stats``: calls and log lines of one function over time."""
    query = request.query_params
    if query.get("interval") not in INTERVALS:
        raise Problem(400, f"interval must be one of the following values: {', '.join(INTERVALS)}")
    try:
        function_id = str(uuid.UUID(query.get("function_id", "")))
    except ValueError:
        raise Problem(400, "function_id must be a UUID") from None
    span, bucket = INTERVALS[query["interval"]]
    now = datetime.now(UTC)
    return await _answer(context, COMBINED_STATS.format(bucket=bucket, function_id=function_id), now - span, now)


async def _answer(context: Context, sql: str, start: datetime, end: datetime) -> Response:
    def ask() -> Response:
        if context.postgres_log is not None:
            context.postgres_log.look()
        try:
            return JSONResponse({"result": context.logbook.query(sql, start, end)})
        except LogQueryError as error:
            return JSONResponse({"result": [], "error": str(error)})

    return await asyncio.to_thread(ask)


def window(start: str | None, end: str | None, now: datetime) -> tuple[datetime, datetime]:
    """The interval a question covers, in whole minutes: the start rounded down, the end up. Raises Problem.

    Neither bound: the last minute. One bound: the minute at it. More than 24 hours is refused.
    """
    lower, upper = _moment("iso_timestamp_start", start), _moment("iso_timestamp_end", end)
    if lower is None and upper is None:
        return now - MINUTE, now + timedelta(microseconds=1)
    if lower is None or upper is None:
        lower, upper = (lower, lower + MINUTE) if lower else (upper - MINUTE, upper) if upper else (now, now)
    if upper <= lower:
        raise Problem(400, "iso_timestamp_end must be later than iso_timestamp_start")
    if upper - lower > LONGEST:
        raise Problem(400, "The range between iso_timestamp_start and iso_timestamp_end must not exceed 24 hours")
    whole = upper.replace(second=0, microsecond=0)
    return lower.replace(second=0, microsecond=0), whole if whole == upper else whole + MINUTE


def _moment(name: str, text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Problem(400, f"{name} must be a valid ISO 8601 date string") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


TABLE = [
    ("GET", "/analytics/endpoints/logs", logs),
    ("GET", "/analytics/endpoints/functions.combined-stats", combined_stats),
]
