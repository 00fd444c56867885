"""What the local platform holds before anything is deployed to it: the clinic's functions and secrets.

Every function has a version before the current one, which behaves differently: what a rollback goes back to.
"""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from opsnb.local.identity import FIREBASE_PROJECT
from opsnb.local.store import FunctionStore, write_private

CLINIC = Path(__file__).parent / "clinic" / "supabase"
VERSIONS = {
    "create-context-snapshot": (10, 11),
    "generate-soap-draft-v2": (12, 13),
    "get-patient-history": (2, 3),
    "update-patient-medical-record": (3, 4),
}
"""Function → (version before, current version)."""

ADMIN_KEY_FILE = "firebase_admin_key"
"""The operator's own copy of the service account, in the store's folder."""
CURRENT_AGE = timedelta(hours=2)
PREVIOUS_AGE = timedelta(days=30)


def seed(store: FunctionStore, clinic: Path = CLINIC) -> None:
    """Deploys every function twice, the earlier version first, sets the secrets, and keeps that as pristine."""
    now = datetime.now(UTC)
    for slug, (before, current) in VERSIONS.items():
        for folder, version, age in (("functions_previous", before, PREVIOUS_AGE), ("functions", current, CURRENT_AGE)):
            files, entrypoint = sources(clinic / folder, slug)
            store.deploy(slug, files, entrypoint, verify_jwt=True, version=version, now=now - age)
    _set_secrets(store)


def complete(store: FunctionStore) -> None:
    """Gives a store that an earlier version seeded what it lacks: the operator's copy of the service account."""
    if not (store.folder / ADMIN_KEY_FILE).exists():
        store.reset()
        _set_secrets(store)


def _set_secrets(store: FunctionStore) -> None:
    values = synthetic_secrets()
    write_private(store.folder / ADMIN_KEY_FILE, f"{values['FIREBASE_ADMIN_KEY']}\n".encode())
    store.set_secrets(values)
    store.keep_pristine()


def sources(folder: Path, slug: str) -> tuple[dict[str, bytes], str]:
    """The files of one function as they are uploaded, relative to *folder*, and its entry point.

    Modules that functions share (``_shared``) come along, as the platform's own command line sends them.
    """
    found = [path for part in (slug, "_shared") for path in sorted((folder / part).rglob("*.ts"))]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}, f"{slug}/index.ts"


def synthetic_secrets() -> dict[str, str]:
    """The secrets of the clinic: two public values and a service account that belongs to nobody."""
    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    account = {
        "type": "service_account",
        "project_id": FIREBASE_PROJECT,
        "private_key_id": secrets.token_hex(20),
        "private_key": pem.decode(),
        "client_email": f"local-target@{FIREBASE_PROJECT}.example.org",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    return {
        "AWS_REGION": "eu-central-1",
        "FIREBASE_ADMIN_KEY": json.dumps(account),
        "FIREBASE_PROJECT_ID": FIREBASE_PROJECT,
    }
