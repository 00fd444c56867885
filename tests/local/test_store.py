"""The platform's store: versions rise, changes are atomic, secrets stay hidden, reset goes all the way back."""

from __future__ import annotations

import hashlib
import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opsnb.local.identity import Identity, TokenRefused
from opsnb.local.seed import VERSIONS, seed
from opsnb.local.store import MAGIC, FunctionStore, StoreError, UnknownFunction, pack, unpack, write_private

HELLO = {"index.ts": b"Deno.serve(() => new Response('hello'));\n"}


@pytest.fixture
def store(tmp_path: Path) -> FunctionStore:
    return FunctionStore(tmp_path / "platform")


def test_versions_rise_and_id_and_creation_stay(store: FunctionStore) -> None:
    first = store.deploy("hello", HELLO, "index.ts", verify_jwt=False, name="Hello")
    second = store.deploy("hello", {"index.ts": b"2"}, "index.ts")
    assert (first.version, second.version) == (1, 2)
    assert (second.id, second.created_at_ms, second.name) == (first.id, first.created_at_ms, "Hello")
    assert second.updated_at_ms >= first.updated_at_ms
    assert second.entrypoint.read_bytes() == b"2" and first.entrypoint.read_bytes() == HELLO["index.ts"]
    assert store.current("hello") == second and store.list() == [second]


def test_a_new_process_finds_what_the_last_one_stored(store: FunctionStore) -> None:
    made = store.deploy("hello", HELLO, "index.ts")
    store.set_secrets({"NAME": "välue"})
    again = FunctionStore(store.folder)
    assert again.current("hello") == made and again.secrets() == {"NAME": "välue"}


def test_rewind_gives_the_version_before_with_its_own_number(store: FunctionStore) -> None:
    first = store.deploy("hello", HELLO, "index.ts", version=10)
    store.deploy("hello", {"index.ts": b"2"}, "index.ts", version=11)
    assert store.rewind("hello") == first == store.current("hello")
    with pytest.raises(StoreError, match="no earlier version"):
        store.rewind("hello")
    with pytest.raises(UnknownFunction):
        store.rewind("nothing")


def test_every_change_that_a_function_could_see_changes_the_generation(store: FunctionStore) -> None:
    seen = [store.generation]
    for change in (
        lambda: store.deploy("hello", HELLO, "index.ts"),
        lambda: store.set("hello", status="THROTTLED"),
        lambda: store.set_secrets({"A": "1"}),
        lambda: store.unset_secrets(["A"]),
        lambda: store.keep_pristine() or store.reset(),
        lambda: store.delete("hello"),
    ):
        change()
        seen.append(store.generation)
    assert seen == sorted(set(seen))
    store.prepare("other", HELLO, "index.ts")
    assert store.generation == seen[-1]


def test_reset_goes_back_with_the_same_age_and_drops_later_sources(store: FunctionStore) -> None:
    made = store.deploy("hello", HELLO, "index.ts", now=datetime.now(UTC) - timedelta(hours=2))
    store.set_secrets({"A": "1"})
    store.keep_pristine()
    later = store.deploy("hello", {"index.ts": b"2"}, "index.ts")
    store.deploy("other", HELLO, "index.ts")
    store.set_secrets({"A": "2", "B": "3"})
    in_two_days = datetime.now(UTC) + timedelta(days=2)
    store.reset(in_two_days)
    back = store.current("hello")
    assert (back.version, back.id, back.ezbr_sha256) == (made.version, made.id, made.ezbr_sha256)
    assert abs(back.updated_at_ms / 1000 - (in_two_days - timedelta(hours=2)).timestamp()) < 30
    assert [one.slug for one in store.list()] == ["hello"] and store.secrets() == {"A": "1"}
    assert not later.source_dir.exists() and back.source_dir.exists()


def test_secrets_are_hidden_bounded_and_private(store: FunctionStore) -> None:
    store.set_secrets({"NAME": "the-value"})
    listed = store.listed_secrets()
    assert listed["NAME"].digest == hashlib.sha256(b"the-value").hexdigest()
    assert "the-value" not in repr(listed)
    assert stat.S_IMODE((store.folder / "state.json").stat().st_mode) == 0o600
    for bad in ({"SUPABASE_X": "1"}, {"": "1"}, {"N" * 257: "1"}, {"N": "1" * 24577}, {f"N{i}": "" for i in range(100)}):
        with pytest.raises(StoreError) as refused:
            store.set_secrets(bad)
        assert "1" * 100 not in str(refused.value)
    assert store.secrets() == {"NAME": "the-value"}


@pytest.mark.parametrize("path", ["../x.ts", "/x.ts", "a/../../x.ts", "", "a\\b.ts", "a\0b.ts", "x" * 101])
def test_a_path_that_leaves_the_bundle_is_refused(store: FunctionStore, path: str) -> None:
    with pytest.raises(StoreError):
        store.deploy("hello", {path: b"", "index.ts": b""}, "index.ts")
    assert store.list() == [] and not (store.folder / "sources").exists()


def test_a_status_the_platform_does_not_know_is_refused(store: FunctionStore) -> None:
    store.deploy("hello", HELLO, "index.ts")
    with pytest.raises(StoreError):
        store.set("hello", status="BROKEN")


names = st.from_regex(r"[a-z]{1,8}(/[a-zA-Z_ é.]{1,8}x)?", fullmatch=True)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=50)
@given(st.dictionaries(names, st.binary(max_size=200), max_size=6))
def test_a_bundle_unpacks_to_what_was_packed_and_is_the_same_every_time(files: dict[str, bytes]) -> None:
    bundle = pack(files)
    assert bundle.startswith(MAGIC) and unpack(bundle) == files
    assert pack(dict(reversed(list(files.items())))) == bundle


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_a_bundle_that_is_none_is_refused_not_raised_through(content: bytes) -> None:
    with pytest.raises(StoreError):
        unpack(MAGIC + content + b"\xff")


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "kept"
    write_private(kept, b"old")

    def broken(self: Path, target: Path) -> Path:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(OSError, match="no space"):
        write_private(kept, b"new")
    assert kept.read_bytes() == b"old" and [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_the_clinic_is_seeded_with_a_version_before_each_that_behaves_differently(store: FunctionStore) -> None:
    assert not store.is_seeded()
    seed(store)
    assert store.is_seeded()
    for slug, (before, current) in VERSIONS.items():
        live = store.current(slug)
        assert (live.version, live.status, live.entrypoint.is_file()) == (current, "ACTIVE", True)
        previous = store.rewind(slug)
        assert previous.version == before and previous.ezbr_sha256 != live.ezbr_sha256
    assert json.loads(store.secrets()["FIREBASE_ADMIN_KEY"])["project_id"] == "medzen-bf20e"


# -- identity


def test_tokens_of_the_issuer_hold_and_others_do_not(tmp_path: Path) -> None:
    identity, other = Identity(tmp_path / "one"), Identity(tmp_path / "two")
    token = identity.issue("SyntheticPatient000000000001")
    claims = identity.verify_third_party(token)
    assert (claims["sub"], claims["role"], claims["aud"]) == ("SyntheticPatient000000000001", "authenticated", "medzen-bf20e")
    assert "role" not in identity.verify_third_party(identity.issue("x", role=None))
    assert Identity(tmp_path / "one").verify_third_party(token) == claims
    head, body, signature = token.split(".")
    for wrong, rule in (
        (other.issue("x"), "unknown key"),
        (identity.issue("x", now=1_000_000), "expired"),
        (identity.issue("x", now=4_000_000_000), "future"),
        (identity.issue(""), "without a subject"),
        (f"{head}.{body[:-4]}AAAA.{signature}", "signature|malformed"),
        (identity.anon_key, "unknown key"),
        ("nonsense", "malformed"),
        ("", "malformed"),
    ):
        with pytest.raises(TokenRefused, match=rule) as refused:
            identity.verify_third_party(wrong)
        assert not wrong or wrong not in str(refused.value)


def test_the_project_s_keys_carry_their_roles(tmp_path: Path) -> None:
    identity = Identity(tmp_path)
    assert identity.verify_legacy(identity.anon_key)["role"] == "anon"
    assert identity.verify_legacy(identity.service_key)["role"] == "service_role"
    with pytest.raises(TokenRefused):
        identity.verify_legacy(identity.issue("x"))
    assert identity.is_access_token(identity.access_token) and not identity.is_access_token("sbp_" + "0" * 40)
    assert identity.is_service_key(identity.secret_key) and not identity.is_service_key(identity.anon_key)
    assert stat.S_IMODE((tmp_path / "identity.json").stat().st_mode) == 0o600
    assert set(identity.jwks()["keys"][0]) == {"kty", "alg", "use", "kid", "n", "e"}
