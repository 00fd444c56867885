"""What Postgres refuses, in sentences a person understands. Its own texts may quote rows or the DSN: they are read, never shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from opsnb.errors import SourceDenied, SourceError, SourceNonsense, SourceTimeout

SOURCE = "postgres"

_BY_STATE: dict[str, tuple[type[SourceError], str]] = {
    "57014": (SourceTimeout, "the statement took longer than its time-out and was stopped"),
    "55P03": (SourceTimeout, "something else holds a lock on what was asked, and it was not waited for; ask again"),
    "25P03": (SourceTimeout, "the transaction stood idle for too long and was ended by the server"),
    "42501": (SourceDenied, "the role may not read this; see opsnb/sql/roles/opsnb_reader.sql for the rights it needs"),
    "25006": (SourceDenied, "the statement tried to write, and this connection only reads"),
    "42P01": (SourceError, "a table that was asked for does not exist"),
    "42703": (SourceError, "a column that was asked for does not exist"),
    "42883": (SourceError, "a function or operator that was asked for does not exist"),
    "3F000": (SourceError, "a schema that was asked for does not exist"),
    "22023": (SourceError, "a setting or a role that was asked for does not exist"),
    "40P01": (SourceError, "the statement and another waited for each other, and this one was given up; ask again"),
    "53100": (SourceError, "the server's disk is full"),
    "53200": (SourceError, "the server is out of memory"),
    "57P01": (SourceError, "an administrator ended the connection"),
    "57P02": (SourceError, "the server crashed and is recovering"),
    "57P03": (SourceError, "the server is starting or shutting down"),
    "57P05": (SourceError, "the session stood idle for too long and was ended by the server"),
}  # fmt: skip
_BY_CLASS: dict[str, tuple[type[SourceError], str]] = {
    "28": (SourceDenied, "the server refused the role or its password; look at postgres.dsn"),
    "53": (SourceError, "the server has no resources left"),
    "XX": (SourceError, "the server met an internal error; its log says which"),
}

# of a connection that was never made libpq tells no SQLSTATE, only text; first match wins
_BY_TEXT: tuple[tuple[tuple[str, ...], type[SourceError], str], ...] = (
    (("password authentication failed", "no password supplied"), SourceDenied,
     "{where} refused the role or its password; look at postgres.dsn"),
    (("tenant or user not found",), SourceDenied, "the pooler at {where} does not know this project or role; look at postgres.dsn"),
    (("no pg_hba.conf entry", "not permitted to log in", "permission denied for"), SourceDenied,
     "{where} does not let this role in from here; look at pg_hba.conf or the network restrictions"),
    (("certificate file", "private key file"), SourceError,
     "{where}: a file that sslmode, sslrootcert, sslcert or sslkey of postgres.dsn needs is not there or not readable"),
    (("does not exist",), SourceDenied, "{where} has no such role or database; look at postgres.dsn"),
    (("too many connections", "too many clients", "connection slots", "max clients reached", "max client connections"), SourceError,
     "{where} has no connection left to give; somebody holds them all"),
    (("starting up", "shutting down", "recovery mode"), SourceError, "{where} is starting or shutting down; try again"),
    (("could not translate host name", "failed to resolve", "name or service not known", "idna"), SourceError,
     "the host of {where} is not known; look at postgres.dsn"),
    (("refused",), SourceError, "nothing listens at {where}; is the database running?"),
    (("no route to host", "network is unreachable"), SourceError, "there is no way from here to {where}; look at the network"),
    (("invalid response to", "expected authentication request", "unexpected message"), SourceNonsense,
     "something listens at {where}, but it is no PostgreSQL; look at postgres.dsn"),
    (("certificate", "ssl", "tls"), SourceError,
     "{where}: no encrypted connection came about; look at sslmode and sslrootcert of postgres.dsn"),
)  # fmt: skip
_PASSING = ("too many c", "connection slots", "clients reached", "starting up", "shutting down", "recovery mode", "closed the connection")


@contextmanager
def translated(question: str) -> Iterator[None]:
    """Errors of psycopg as ours, in a sentence with the SQLSTATE; *question* is noted on each."""
    try:
        yield
    except psycopg.Error as error:
        raise in_words(error, question) from None
    except UnicodeError:
        raise SourceNonsense("a text of the answer or of a parameter is not UTF-8", source=SOURCE, question=question) from None
    except SourceError as error:
        error.question = error.question or question
        raise


def in_words(error: psycopg.Error, question: str = "") -> SourceError:
    """The SourceError that says what *error* means."""
    state = error.sqlstate
    if state is not None:
        other = (SourceError, "the database refused the statement")
        kind, sentence = _BY_STATE.get(state) or _BY_CLASS.get(state[:2]) or other
        return kind(f"{sentence} (SQLSTATE {state})", source=SOURCE, question=question)
    if isinstance(error, psycopg.OperationalError):
        return SourceError("the connection to the database was lost; ask again", source=SOURCE, question=question)
    if isinstance(error, psycopg.DataError):
        return SourceNonsense("a value of the answer or of a parameter has no counterpart here", source=SOURCE, question=question)
    return SourceError(f"the database could not be asked ({type(error).__name__})", source=SOURCE, question=question)


def no_connection(error: Exception, where: str, timeout_s: float) -> SourceError:
    """Why there is no connection to *where* (host:port)."""
    if isinstance(error, psycopg.errors.ConnectionTimeout) or "timeout expired" in str(error):
        return SourceTimeout(f"{where} did not answer within {timeout_s:g} s; is it reachable from here?", source=SOURCE)
    text = _unnamed(error)
    for signs, kind, sentence in _BY_TEXT:
        if any(sign in text for sign in signs):
            return kind(sentence.format(where=where), source=SOURCE)
    return SourceError(f"no connection to {where}; is the database running and reachable from here?", source=SOURCE)


def _unnamed(error: BaseException) -> str:
    """The error's text in lower case without what it quotes: a host may be called as a reason is."""
    return re.sub(r'"[^"]*"', '""', str(error).lower())


def may_pass(error: BaseException) -> bool:
    """Whether connecting again soon may succeed: a server that restarts or is full, not one that refuses the role.

    A wrong password is never tried twice: platforms ban addresses for it.
    """
    if not isinstance(error, psycopg.OperationalError) or isinstance(error, psycopg.errors.ConnectionTimeout):
        return False
    text = _unnamed(error)
    return "refused" in text or any(sign in text for sign in _PASSING)
