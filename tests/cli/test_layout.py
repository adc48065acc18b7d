"""The state directory and its files: private, made again when missing, never through a link."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from onestack import config
from onestack.cli import credentials, layout
from onestack.cli.problems import Problem


@pytest.fixture
def settings(tmp_path):
    made = config.load(str(tmp_path / "state"), hypervisor="fake")
    layout.ensure_directories(made, "")
    return made


def test_directories_are_private_and_repaired(settings):
    settings.path("secrets").chmod(0o777)
    settings.path("db").rmdir()
    layout.ensure_directories(settings, "")
    assert settings.path("secrets").stat().st_mode & 0o777 == 0o700
    assert settings.path("db").stat().st_mode & 0o777 == 0o700


def test_a_link_in_the_place_of_a_directory_is_refused(settings, tmp_path):
    settings.path("images").rmdir()
    settings.path("images").symlink_to(tmp_path)
    with pytest.raises(Problem, match="symbolic link"):
        layout.ensure_directories(settings, "")


def test_a_name_too_long_for_sockets_is_refused(tmp_path):
    with pytest.raises(Problem, match="too long for sockets"):
        layout.ensure_directories(config.load(str(tmp_path / ("x" * 100))), "")


def test_secrets_are_made_once(settings):
    layout.ensure_secrets(settings, "")
    before = layout.read_secret(settings, "admin-password")
    layout.ensure_secrets(settings, "")
    assert layout.read_secret(settings, "admin-password") == before
    assert settings.path("secrets", "agent.token").stat().st_mode & 0o777 == 0o600


def test_no_cloud_is_one_line(tmp_path):
    with pytest.raises(Problem, match="there is no cloud in"):
        layout.read_secret(config.load(str(tmp_path)), "admin-password")


def test_what_up_chose_is_kept(tmp_path):
    settings = config.load(str(tmp_path), port_offset=700, hypervisor="fake")
    layout.ensure_settings(settings, "fake", "")
    again = config.load(str(tmp_path))
    assert (again.port_offset, again.hypervisor) == (700, "fake")


def test_a_file_of_the_operator_is_only_added_to(tmp_path):
    file = tmp_path / "onestack.toml"
    own = 'region = "Here"\nhypervisor = "qemu"\n\n[compute]\nfake_hosts = 2\n'
    file.write_text(own)
    file.chmod(0o640)
    settings = layout.ensure_settings(config.load(str(tmp_path), port_offset=700), "qemu", "")
    assert (settings.region, settings.hypervisor, settings.port_offset) == ("Here", "qemu", 700)
    assert config.load(str(tmp_path)) == settings
    assert file.read_text() == f"# Chosen by the first `onestack up`:\nport_offset = 700\n\n{own}"
    assert file.stat().st_mode & 0o777 == 0o640
    before = file.read_text()
    layout.ensure_settings(settings, "qemu", "")
    assert file.read_text() == before


def test_a_second_real_cloud_gets_a_name_and_a_network_of_its_own(tmp_path, monkeypatch):
    from onestack.engines import external

    monkeypatch.setattr(external, "interfaces", lambda: [("br-ex", ["172.24.4.1/24"]), ("eth0", ["172.24.5.9/24"])])
    settings = layout.ensure_settings(config.load(str(tmp_path), port_offset=1000), "qemu", "")
    assert settings.hostname.endswith("-1000")
    assert settings.network.external_cidr == "172.24.6.0/24"


def test_two_at_once(settings):
    def hold():
        with layout.alone(settings):
            return True

    with layout.alone(settings), pytest.raises(Problem, match=rf"another onestack command \(pid {os.getpid()}\)"):
        hold()
    assert hold()


def test_openrc_survives_a_shell(settings):
    layout.write_private(settings.path("secrets", "admin-password"), 'it\'s $HOME "quoted"\n')
    layout.write_private(settings.path("secrets", "demo-password"), "plain\n")
    script = credentials.openrc(settings, "admin") + '\nprintf %s "$OS_PASSWORD|$OS_AUTH_URL|${OS_CLOUD-none}"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, env={"OS_CLOUD": "old"}, check=True)
    assert done.stdout == 'it\'s $HOME "quoted"|http://127.0.0.1:5000/v3|none'


def test_clouds_yaml_is_private_and_complete(settings):
    yaml = pytest.importorskip("yaml")
    layout.ensure_secrets(settings, "")
    credentials.write(settings)
    path = settings.path("clouds.yaml")
    assert path.stat().st_mode & 0o777 == 0o600
    clouds = yaml.safe_load(path.read_text())["clouds"]
    assert set(clouds) == {"onestack", "demo"}
    assert clouds["onestack"]["auth"]["password"] == layout.read_secret(settings, "admin-password")
    assert clouds["demo"]["auth"]["project_name"] == "demo"


def test_a_user_whose_password_is_not_kept(settings):
    with pytest.raises(Problem, match="only the passwords of admin and demo"):
        credentials.openrc(settings, "carol")


def command(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "onestack.cli.main", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), **environment},
    )


def test_a_cloud_keeps_its_offset_and_its_kind(tmp_path):
    layout.ensure_settings(config.load(str(tmp_path), port_offset=700, hypervisor="fake"), "fake", "")
    done = command("--state", str(tmp_path), "--port-offset", "800", "status")
    assert done.returncode == 1
    assert done.stderr.startswith(f"onestack: the cloud in {tmp_path} has the port offset 700, not 800")
    done = command("--state", str(tmp_path), "up", "--hypervisor", "qemu")
    assert "was made with the hypervisor fake, not qemu" in done.stderr


def test_a_file_without_an_offset_takes_it_until_the_cloud_is_made(tmp_path):
    (tmp_path / "onestack.toml").write_text('region = "Here"\n')
    words = ("--state", str(tmp_path), "--port-offset", "800", "status")
    assert "there is no cloud in" in command(*words).stderr
    (tmp_path / "onestack.toml").write_text('region = "Here"\nport_offset = 700\n')
    assert "has the port offset 700, not 800" in command(*words).stderr
    (tmp_path / "onestack.toml").write_text('region = "Here"\n')
    layout.ensure_directories(config.load(str(tmp_path)), "")
    layout.ensure_secrets(config.load(str(tmp_path)), "")
    assert "has the port offset 0, not 800" in command(*words).stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [("colour = 1", "colour"), ("threads = 0", "threads must be at least 1"), ("threads = [", "onestack.toml")],
)
def test_a_wrong_setting_is_one_line_that_names_it(tmp_path, text, words):
    (tmp_path / "onestack.toml").write_text(text)
    done = command("status", ONESTACK_STATE=str(tmp_path))
    assert done.returncode == 1
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("words", [["status"], ["down"], ["logs"], ["openrc"], ["boot"]])
def test_without_a_cloud_every_command_says_so(tmp_path, words):
    done = command("--state", str(tmp_path / "none"), *words)
    assert done.returncode == 1
    assert done.stderr == f"onestack: there is no cloud in {tmp_path / 'none'}. Fix: onestack up\n"
