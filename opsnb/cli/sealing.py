"""``opsnb signoff``, ``verify`` and ``keygen``: sign a deployment, and prove later, anywhere, that nothing changed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from opsnb import errors
from opsnb.cli.attesting import ByOption, RoleOption
from opsnb.cli.shared import DeploymentOption, EnvironmentArgument, app, out
from opsnb.config import Reference, Signer, find_root, load_environment, read_signers, settings
from opsnb.errors import UsageError
from opsnb.evidence import deployments
from opsnb.evidence.safe import printable

SIGNERS = Path("parameters") / "signers.yaml"
SEALS = {
    "genuine": ("✓", "green", errors.EXIT_PASSED),
    "intact": ("◐", "yellow", errors.EXIT_HELD),
    "broken": ("✕", "bold red", errors.EXIT_FAILED),
}


@app.command()
def signoff(
    environment: EnvironmentArgument,
    by: ByOption,
    role: RoleOption,
    key: Annotated[str, typer.Option("--key", metavar="REF", help="The private key: file:PATH or env:NAME (PEM, Ed25519 or ECDSA).")],
    meaning: Annotated[str, typer.Option("--meaning", metavar="M", help="approved, reviewed or rejected.")] = "approved",
    statement: Annotated[str, typer.Option("--statement", metavar="TEXT", help="Words that stand beside the signature.")] = "",
    despite: Annotated[str, typer.Option("--despite", metavar="TEXT", help="Why a deployment that is held is signed nevertheless.")] = "",
    passphrase: Annotated[str, typer.Option("--passphrase", metavar="REF", help="The key's passphrase, env:NAME or file:PATH.")] = "",
    deployment: DeploymentOption = "",
) -> None:
    """Signs a deployment and seals its folder: SHA-256 of every file, who, when and what it means. The first signature closes it."""
    from opsnb.evidence import keys
    from opsnb.evidence.sealing import MEANINGS, Signature, sign_off

    root = find_root()
    if meaning not in MEANINGS:
        raise UsageError(f"--meaning {meaning}: expected one of {', '.join(MEANINGS)}")
    load_environment(environment, root)
    reports = settings().reports_folder(root)
    found = deployments.find(reports, environment, deployment) if deployment else deployments.named(reports, environment)
    secret = Reference(passphrase).resolve(root).get_secret_value().strip() if passphrase else ""
    private = keys.private_key(_reference(key).resolve(root).get_secret_value(), passphrase=secret)
    trusted = read_signers(root / SIGNERS) if (root / SIGNERS).is_file() else ()
    signature = Signature(by, role, private, meaning, statement, despite)
    state = sign_off(found, signature, trusted=trusted)
    out.print(Text(f"{found.id}: {state.gate.gate}, {meaning} by {printable(by)} with the key {private.public.fingerprint[:16]}"))
    out.print(str(found.folder / "signoff.html"), soft_wrap=True)
    out.print(Text(f"prove it anywhere: opsnb verify {found.folder}", style="dim"), soft_wrap=True)


@app.command("verify")
def verify_command(
    place: Annotated[Path, typer.Argument(metavar="FOLDER|FILE", help="A sealed deployment's folder, or one file of it.")],
    signers: Annotated[Path | None, typer.Option("--signers", metavar="FILE", help="Whose keys are trusted: YAML.")] = None,
    key: Annotated[list[Path] | None, typer.Option("--key", metavar="FILE", help="A public key that is trusted (PEM).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Says whether a sealed deployment is what was signed, and names what is not. Works offline, on any machine.

    Exit: 0 genuine, 1 broken, 3 intact, but whose keys signed was not established.
    """
    from opsnb.evidence import keys
    from opsnb.evidence.verifying import verify

    trusted: tuple[Signer, ...] = read_signers(signers) if signers else ()
    fingerprints = [keys.public_key(_text(path), what=f"--key {path}").fingerprint for path in key or ()]
    found = verify(place, trusted=trusted, keys=fingerprints)
    shape, style, code = SEALS[found.seal]
    if as_json:
        typer.echo(json.dumps({**asdict(found), "sentence": found.sentence}, indent=1, ensure_ascii=False))
        raise typer.Exit(code)
    out.print(Text(f"{shape} {printable(found.sentence)}", style=style), soft_wrap=True)
    for finding in found.findings[1:]:
        out.print(Text(f"  {printable(finding.sentence)}"), soft_wrap=True)
    if found.deployment:
        out.print(Text(f"deployment {printable(found.deployment)}, gate {found.gate}"))
    for each in found.signers:
        words = f": {printable(each.statement)}" if each.statement else ""
        out.print(
            Text(f"{each.meaning} by {printable(each.by)}, {printable(each.role)}, {each.at}, key {each.key[:16]}{words}"), soft_wrap=True
        )
    raise typer.Exit(code)


@app.command()
def keygen(path: Annotated[Path, typer.Argument(metavar="PATH", help="The private key's file; the public half goes to PATH.pub.")]) -> None:
    """Makes an Ed25519 key to sign with."""
    from opsnb.evidence import keys

    public = keys.generate(path)
    out.print(Text(f"{path} (keep it), {path}.pub (give it to whoever verifies)\nfingerprint {public.fingerprint}"), soft_wrap=True)


def _reference(key: str) -> Reference:
    """The key by reference; a bare path is one to a file."""
    return Reference(key if key.startswith(("env:", "file:")) else f"file:{Path(key).expanduser().absolute()}")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"--key {path}: it cannot be read; expected a public key in PEM") from None
