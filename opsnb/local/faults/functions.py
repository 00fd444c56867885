"""Faults of what is deployed."""

from __future__ import annotations

from opsnb.local.faults.registry import MANY_ERRORS, UNANSWERED, fault
from opsnb.local.state import Context

SLOW_FUNCTION = b"""// A debug build somebody left behind: it waits before it answers.
Deno.serve(async () => {
  await new Promise((resolve) => setTimeout(resolve, 2500));
  return Response.json({ success: true, hasHistory: false, history: null, dryRun: true });
});
"""

OPEN_FUNCTION = b"""// Written in a hurry: whoever calls is answered.
Deno.serve(() =>
  Response.json({ success: true, hasHistory: false, history: null, entries: {}, lastUpdatedAt: null, dryRun: true })
);
"""

UNRELATED = b"""// The caller is verified, and then forgotten.
import { requireCaller } from "../_shared/firebase.ts";
import { serve } from "../_shared/http.ts";
serve("get-patient-history", async (_body, request) => {
  await requireCaller(request);
  return { hasHistory: false, history: null, entries: {}, lastUpdatedAt: null, dryRun: true };
});
"""

UNBOOTABLE = b"""// A variable was renamed in one place only.
const region = Deno.env.get("AWS_REGION_NAME")!.toLowerCase();
Deno.serve(() => Response.json({ success: true, region }));
"""

UNRESOLVED = b"""// The shared module was moved, and this import was not.
import { serve } from "../_shared/gone.ts";
serve("get-patient-history", () => Promise.resolve({}));
"""

OTHER_TYPES = b"""// A rewrite that answers the right fields with other types.
Deno.serve(() =>
  Response.json({ success: "yes", hasHistory: 0, history: null, entries: [], lastUpdatedAt: null, dryRun: true })
);
"""


@fault(
    "The drafting function was removed from the platform.",
    "functions.deployed",
    "functions.active",
    "functions.refuse_strangers",
    *UNANSWERED,
)
async def function_inactive(context: Context) -> None:
    """Its status is no longer ACTIVE, and callers get 404."""
    context.store.set("generate-soap-draft-v2", status="REMOVED")


@fault(
    "The function that snapshots the context is the one before, deployed a month ago.",
    "functions.versions",
    "functions.reviewed",
    "functions.recent",
    "functions.fields",
)
async def stale_version(context: Context) -> None:
    """The earlier bundle with its own metadata: it answers less than the release says."""
    context.store.rewind("create-context-snapshot")


@fault(
    "A debug build of the history function answers after two and a half seconds.",
    "functions.versions",
    "functions.reviewed",
    "functions.fields",
    "functions.response_time",
    "functions.refuse_strangers",
    "window.response_times",
)
async def slow_function(context: Context) -> None:
    """A new version was deployed that waits before it answers."""
    context.store.deploy("get-patient-history", {"index.ts": SLOW_FUNCTION}, "index.ts", verify_jwt=True)


@fault(
    "The history function answers everybody who holds the public key.",
    "functions.versions",
    "functions.reviewed",
    "functions.refuse_strangers",
)
async def open_endpoint(context: Context) -> None:
    """A new version was deployed that does not look at the caller's token; the gateway still asks for a key, which is public."""
    context.store.deploy("get-patient-history", {"index.ts": OPEN_FUNCTION}, "index.ts", verify_jwt=True)


@fault(
    "The history function answers every signed-in user, whoever the patient is.",
    "functions.versions",
    "functions.reviewed",
    "functions.refuse_strangers",
)
async def another_persons_record(context: Context) -> None:
    """The caller's token is verified and then forgotten: nobody asks what they have to do with the patient."""
    files = {**context.store.current("get-patient-history").files()}
    entry = context.store.current("get-patient-history").entrypoint_path
    files[entry] = UNRELATED
    context.store.deploy("get-patient-history", files, entry, verify_jwt=True)


@fault(
    "The updating function is not deployed.",
    "functions.deployed",
    "functions.active",
    "functions.versions",
    "functions.verify_jwt",
    "functions.reviewed",
    "functions.refuse_strangers",
    "functions.recent",
    "functions.no_failed_deployment",
    "environment.no_hardcoded",
    "errors.rate",  # without its calls there are too few to tell
    *UNANSWERED,
)
async def function_absent(context: Context) -> None:
    """Somebody deleted it: callers get 404."""
    context.store.delete("update-patient-medical-record")


@fault("The gateway no longer looks at tokens before the drafting function.", "functions.verify_jwt")
async def verify_jwt_off(context: Context) -> None:
    """Deployed with --no-verify-jwt; the function itself still refuses strangers, so nothing else shows."""
    context.store.set("generate-soap-draft-v2", verify_jwt=False)


@fault(
    "A function is throttled: the project is over its quota.",
    "functions.active",
    "functions.refuse_strangers",
    *UNANSWERED,
)
async def function_throttled(context: Context) -> None:
    """Its status is THROTTLED, and callers are turned away."""
    context.store.set("create-context-snapshot", status="THROTTLED")


async def _meet(context: Context) -> None:
    """The last four minutes' callers ran into it."""
    assert context.traffic is not None
    await context.traffic.backfill(minutes=4, calls=120)


NOT_STARTED = ("functions.versions", "functions.reviewed", "functions.no_failed_deployment", "functions.refuse_strangers", *UNANSWERED)
"""What leaves PASS while a newly deployed version does not start."""


@fault("The history function does not start: it reads a variable that nobody sets.", *NOT_STARTED, *MANY_ERRORS)
async def boot_error(context: Context) -> None:
    """The platform calls it ACTIVE, and answers 503 BOOT_ERROR."""
    context.store.deploy("get-patient-history", {"index.ts": UNBOOTABLE}, "index.ts", verify_jwt=True)
    await _meet(context)


@fault("The history function imports a module that is not there.", *NOT_STARTED, *MANY_ERRORS)
async def unresolved_import(context: Context) -> None:
    """Bundled where the file still was; it cannot start here."""
    context.store.deploy("get-patient-history", {"index.ts": UNRESOLVED}, "index.ts", verify_jwt=True)
    await _meet(context)


@fault(
    "The history function answers its fields with other types, and everybody.",
    "functions.versions",
    "functions.reviewed",
    "functions.fields",
    "functions.refuse_strangers",
)
async def wrong_types(context: Context) -> None:
    """The answer has every field the release declares; readers break on their types."""
    context.store.deploy("get-patient-history", {"index.ts": OTHER_TYPES}, "index.ts", verify_jwt=True)


@fault("Other sources were deployed under the release's version number.", "functions.reviewed")
async def tampered_source(context: Context) -> None:
    """Number, status and answers are right; only the hash of the source tells."""
    current = context.store.current("get-patient-history")
    files = {path: content + b"\n// one more line\n" for path, content in current.files().items()}
    made = context.store.deploy("get-patient-history", files, current.entrypoint_path, verify_jwt=True, version=current.version)
    context.store.set("get-patient-history", updated_at_ms=made.updated_at_ms)
