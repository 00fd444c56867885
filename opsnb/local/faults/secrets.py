"""Faults of variables, of the identity provider and of the token that is handed over."""

from __future__ import annotations

from datetime import UTC, datetime

from opsnb.local.faults.registry import UNANSWERED, fault
from opsnb.local.identity import PROVIDER_UID
from opsnb.local.state import Context
from opsnb.local.store import write_private


@fault("A required environment variable is not set.", "environment.required_set", "audit.variables")
async def secret_missing(context: Context) -> None:
    """AWS_REGION is unset; no function fails at once, which is why it goes unnoticed."""
    context.store.unset_secrets(["AWS_REGION"])


@fault("A secret still holds the text of its documentation.", "environment.no_placeholder", "environment.known_values")
async def placeholder_secret(context: Context) -> None:
    """FIREBASE_ADMIN_KEY is the placeholder of the guide."""
    context.store.set_secrets({"FIREBASE_ADMIN_KEY": "[json-format-key]"})


@fault(
    "The functions are configured for another Firebase project and refuse every caller.",
    "environment.no_placeholder",
    "window.no_401",
    *UNANSWERED,
)
async def wrong_firebase_project(context: Context) -> None:
    """FIREBASE_PROJECT_ID names another project, and the last four minutes' callers were refused."""
    context.store.set_secrets({"FIREBASE_PROJECT_ID": f"another-project-{datetime.now(UTC):%Y}"})
    assert context.traffic is not None
    await context.traffic.backfill(minutes=4, calls=60)


@fault("A variable was set with a line's end behind its value.", "environment.no_placeholder")
async def secret_with_newline(context: Context) -> None:
    """AWS_REGION was pasted from a terminal."""
    context.store.set_secrets({"AWS_REGION": "eu-central-1\n"})


@fault("Two variables hold the same value.", "environment.no_placeholder")
async def secrets_alike(context: Context) -> None:
    """OPENEHR_URL got what belongs into AWS_REGION."""
    context.store.set_secrets({"OPENEHR_URL": "eu-central-1"})


@fault("Region and project were swapped.", "environment.no_placeholder", "window.no_401", *UNANSWERED)
async def secrets_swapped(context: Context) -> None:
    """FIREBASE_PROJECT_ID holds the region: every token is of another project."""
    values = context.store.secrets()
    context.store.set_secrets({"FIREBASE_PROJECT_ID": values["AWS_REGION"], "AWS_REGION": values["FIREBASE_PROJECT_ID"]})
    assert context.traffic is not None
    await context.traffic.backfill(minutes=4, calls=60)


@fault("The service account that is set is not the operator's.", "environment.known_values")
async def another_service_account(context: Context) -> None:
    """A well-formed account of an earlier key rotation."""
    context.store.set_secrets({"FIREBASE_ADMIN_KEY": '{"type": "service_account", "project_id": "medzen-bf20e"}'})


@fault("The platform no longer trusts the identity provider.", "identity.provider")
async def provider_removed(context: Context) -> None:
    """Somebody removed the third-party integration."""
    context.third_party = False


def _hand_over(context: Context, token: str) -> None:
    write_private(context.run / "provider_token", f"{token}\n".encode())


REFUSED = ("identity.credentials", "window.no_401", *UNANSWERED)
"""What leaves PASS while the token that is handed over is not accepted."""


@fault("The token of the test caller is of another project.", *REFUSED)
async def token_wrong_audience(context: Context) -> None:
    """All Firebase projects share their signing keys: the signature is right."""
    _hand_over(context, context.identity.issue(PROVIDER_UID, audience="another-project"))


@fault("The token of the test caller has no role claim.", "identity.credentials", "window.no_403", *UNANSWERED)
async def token_without_role(context: Context) -> None:
    """Firebase's hook had not run when it was issued: the database takes its bearer for anon."""
    _hand_over(context, context.identity.issue(PROVIDER_UID, role=None))


@fault("The token of the test caller has expired.", *REFUSED)
async def token_expired(context: Context) -> None:
    """An hour old, and a little."""
    _hand_over(context, context.identity.issue(PROVIDER_UID, now=datetime.now(UTC).timestamp() - 4000))
