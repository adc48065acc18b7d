"""Keys and what they make: rotation logs nobody out, both kinds of tokens are read, credentials move to new keys."""

from __future__ import annotations

import base64
import os

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from onestack import config
from onestack.core.clock import FakeClock
from onestack.identity import rotation, service
from onestack.identity.engine import Engine
from onestack.identity.keys import KeyRepository, SigningKeys
from onestack.identity.rotation import RotationRefused
from tests.identity.conftest import ADMIN_PASSWORD, DEMO_PASSWORD

KINDS = list(rotation.KINDS)
NOW = FakeClock().now()


@pytest.mark.parametrize("kind", KINDS)
def test_a_repository_begins_with_a_staged_and_a_primary_key(settings, kind):
    rotation.setup(settings, kind)
    directory = settings.path("keys", kind)
    before = {name: (directory / name).read_bytes() for name in ("0", "1")}
    rotation.setup(settings, kind)
    assert before == {name: (directory / name).read_bytes() for name in ("0", "1")}
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {(directory / name).stat().st_mode & 0o777 for name in before} == {0o600}


@pytest.mark.parametrize("kind", KINDS)
def test_a_rotation_promotes_the_staged_key_and_keeps_three(settings, kind):
    rotation.setup(settings, kind)
    keys = rotation.repository(settings, kind)
    staged = (keys.directory / "0").read_bytes()
    keys.rotate()
    assert keys.numbers() == [0, 1, 2]
    assert (keys.directory / "2").read_bytes() == staged
    keys.rotate()
    assert keys.numbers() == [0, 2, 3]


def test_a_rotation_that_was_killed_half_way_is_finished(settings):
    keys = KeyRepository(settings.path("keys", "fernet"))
    keys.ensure()
    os.rename(keys.directory / "0", keys.directory / "2")
    assert keys.decrypt(keys.encrypt(b"x", NOW)) == b"x"
    assert keys.numbers() == [0, 1, 2]


def test_a_server_notices_what_another_process_rotates(settings):
    ours, theirs = (KeyRepository(settings.path("keys", "fernet")) for _ in range(2))
    for _ in range(5):
        theirs.rotate()
        assert ours.is_current(theirs.encrypt(b"x", NOW))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files for others")
def test_what_root_makes_belongs_to_the_owner_of_the_directory(settings):
    keys = KeyRepository(settings.path("keys", "fernet"))
    keys.directory.parent.mkdir()
    os.chown(keys.directory.parent, 12345, 12345)
    keys.rotate()
    assert {path.stat().st_uid for path in [keys.directory, *keys.directory.iterdir()]} == {12345}
    # A link to something else is neither followed nor given away.
    victim = settings.path("victim")
    victim.touch()
    (keys.directory / ".lock").unlink()
    (keys.directory / ".lock").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        keys.rotate()
    (keys.directory / ".lock").unlink()
    os.link(victim, keys.directory / ".lock")
    keys.rotate()
    assert victim.stat().st_uid == 0


def test_rotations_log_nobody_out(keystone):
    """Each of three servers makes tokens; whichever rotates, all of them read what any of them made."""
    clouds = [Engine(keystone.cloud).tokens for _ in range(2)]
    old = keystone.demo
    rotation.rotate(keystone.cloud, "fernet")
    new = keystone.token("demo", DEMO_PASSWORD)
    for text in (old, new):
        assert keystone.status(text) == 200
        assert all(tokens.authenticate(text) is not None for tokens in clouds)
    rotation.rotate(keystone.cloud, "fernet")
    assert keystone.status(new) == 200
    # The key of the first one is gone by now, also for a server that remembered the token.
    assert keystone.status(old) == 401
    assert clouds[0].authenticate(old) is None


def test_receipts_survive_a_rotation_too(keystone):
    ann = keystone.make("user", name="ann", password="x", options={"multi_factor_auth_rules": [["password", "totp"]]})
    first = keystone.login("ann", "x")
    rotation.rotate(keystone.cloud, "receipt")
    headers = {"Openstack-Auth-Receipt": first.headers["openstack-auth-receipt"]}
    body = keystone.body({"id": ann["id"], "password": "x"})
    again = keystone.client.post("/v3/auth/tokens", as_=None, json=body, headers=headers)
    assert again.json["receipt"]["methods"] == ["password"]


def test_credentials_are_moved_to_the_new_key_before_the_old_one_goes(keystone):
    made = [keystone.make("credential", user_id="u", type="cert", blob=f"secret {i}") for i in range(3)]
    rotation.rotate(keystone.cloud, "credential")
    with pytest.raises(RotationRefused, match="credential_migrate"):
        rotation.rotate(keystone.cloud, "credential")
    assert rotation.migrate_credentials(keystone.cloud) == 3
    assert rotation.migrate_credentials(keystone.cloud) == 0
    for _ in range(3):
        rotation.rotate(keystone.cloud, "credential")
        rotation.migrate_credentials(keystone.cloud)
    for row in made:
        shown = keystone.client.get(f"/v3/credentials/{row['id']}", as_=keystone.admin).json["credential"]
        assert shown["blob"] == row["blob"]


class TestJws:
    @pytest.fixture
    def settings(self, settings: config.Settings) -> config.Settings:
        return msgspec.structs.replace(settings, identity=config.Identity(token_provider="jws"))

    def parts(self, token):
        return [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split(".")]

    def test_a_token_has_keystones_claims(self, keystone):
        answer = keystone.login("demo", DEMO_PASSWORD, keystone.on("demo"))
        header, claims, signature = self.parts(answer.headers["x-subject-token"])
        shown = answer.json["token"]
        assert msgspec.json.decode(header) == {"alg": "ES256", "typ": "JWT"}
        assert msgspec.json.decode(claims) == {
            "sub": shown["user"]["id"], "openstack_methods": ["password"], "exp": 1767272400.0, "iat": 1767268800.0,
            "openstack_audit_ids": shown["audit_ids"], "openstack_project_id": shown["project"]["id"],
        }  # fmt: skip
        assert len(signature) == 64
        assert keystone.status(answer.headers["x-subject-token"]) == 200

    @pytest.mark.parametrize("scope", ["unscoped", {"system": {"all": True}}, {"domain": {"id": "default"}}])
    def test_every_scope(self, keystone, scope):
        token = keystone.token("admin", ADMIN_PASSWORD, scope)
        assert token.count(".") == 2
        assert keystone.status(token) == 200
        assert keystone.client.delete(
            "/v3/auth/tokens", as_=token, headers={"X-Subject-Token": token}
        ).status_code == 204  # fmt: skip
        assert keystone.status(token) == 401

    def test_what_was_tampered_with_is_refused(self, keystone):
        token = keystone.demo
        header, claims, signature = token.split(".")
        other = base64.urlsafe_b64encode(self.parts(token)[1].replace(b"password", b"passw0rd")).rstrip(b"=").decode()
        nothing = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
        for bad in (
            f"{header}.{other}.{signature}", f"{nothing}.{claims}.", f"{nothing}.{claims}.{signature}",
            f"{header}.{claims}", f"{header}.{claims}.", f"..{signature}", "..", ".", f"{header}.{claims}.{'A' * 86}",
            f"{header}.{claims}.{signature}.", f"[].{claims}.{signature}", f"{header}.{claims}.a",
        ):  # fmt: skip
            assert keystone.status(bad) == 401, bad

    def test_another_curve_is_no_key(self, settings):
        keys = SigningKeys(settings.path("keys", "jws"))
        keys.ensure()
        other = ec.generate_private_key(ec.SECP384R1())
        pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (keys.directory / "2").write_bytes(pem)
        with pytest.raises(ValueError, match="P-256"):
            keys.sign(b"x")

    def test_rotation(self, keystone):
        old = keystone.demo
        rotation.rotate(keystone.cloud, "jws")
        new = keystone.token("demo", DEMO_PASSWORD)
        assert keystone.status(old) == keystone.status(new) == 200
        rotation.rotate(keystone.cloud, "jws")
        assert (keystone.status(old), keystone.status(new)) == (401, 200)

    def test_tokens_of_the_other_kind_hold_as_well(self, keystone, settings):
        """Changing the setting logs nobody out."""
        jws = keystone.demo
        before = keystone.cloud.settings
        keystone.cloud.settings = msgspec.structs.replace(before, identity=config.Identity())
        fernet = keystone.token("demo", DEMO_PASSWORD)
        assert fernet.startswith("gAAAA")
        assert keystone.status(jws) == keystone.status(fernet) == 200
        keystone.cloud.settings = before
        assert keystone.status(jws) == keystone.status(fernet) == 200


def test_a_strangers_jws_makes_no_keys(keystone):
    foreign = SigningKeys(keystone.cloud.settings.path("foreign"))
    signed = base64.urlsafe_b64encode(foreign.sign(b"x")).rstrip(b"=").decode()
    head = base64.urlsafe_b64encode(b'{"alg":"ES256"}').rstrip(b"=").decode()
    assert keystone.status(f"{head}.e30.{signed}") == 401
    assert not keystone.cloud.settings.path("keys", "jws").exists()


class TestLifetime:
    @pytest.fixture
    def settings(self, settings: config.Settings) -> config.Settings:
        return msgspec.structs.replace(settings, identity=config.Identity(token_expiration=120))

    def test_tokens_last_as_long_as_is_set(self, keystone):
        assert keystone.status(keystone.demo) == 200
        keystone.cloud.clock.advance(119)
        assert keystone.status(keystone.demo) == 200
        keystone.cloud.clock.advance(1)
        assert keystone.status(keystone.demo) == 401


@pytest.mark.parametrize(
    "text",
    ["token_expiration = 0", "token_expiration = 99999999", 'token_provider = "pki"', "totp_previous_windows = -1",
     "receipt_expiration = 0", "max_redelegation_count = -1", 'totp_single_use = "maybe"'],
)  # fmt: skip
def test_settings_are_checked_at_start(tmp_path, text):
    (tmp_path / "onestack.toml").write_text(f"[identity]\n{text}\n")
    with pytest.raises(config.ConfigError, match="identity"):
        config.load(str(tmp_path))


def test_both_ports_share_one_engine(cloud):
    services = service.build(cloud)
    assert services["identity"].engine is services["identity-admin"].engine
