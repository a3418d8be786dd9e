import re

import pytest
import yaml

from medfit.config import folders

DOCS = folders.ROOT / "docs"
SCALING = (DOCS / "scaling.md").read_text()
COMPOSE = yaml.safe_load((DOCS / "compose.yaml").read_text())
SERVICES = list(COMPOSE["services"])
REQUIRED = r"\$\{\w+:\?[^}]+\}"  # a variable without which Docker refuses to start
COMMANDS = re.findall(r'^make sweep EXPERIMENT=(\w+) (?:\\\n +)?ARGS="([^"]+)"', SCALING, re.MULTILINE)
SETTINGS = re.findall(r"^\| `([a-z][\w.]+=\S+)` \|", SCALING, re.MULTILINE)


def defaults(text):
    """What Docker reads where no variable is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


@pytest.mark.parametrize("service", SERVICES)
def test_a_services_image_has_a_version(service):
    assert re.search(r":v?\d+\.\d+[\w.-]*$", COMPOSE["services"][service]["image"])


@pytest.mark.parametrize("service", SERVICES)
def test_a_services_ports_answer_on_this_machine_alone(service):
    for port in COMPOSE["services"][service].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", defaults(port))


@pytest.mark.parametrize("service", SERVICES)
def test_a_services_secrets_have_no_default(service):
    environment = COMPOSE["services"][service]["environment"]
    for name, value in environment.items():
        if re.search("PASSWORD|SECRET|KEY", name):
            assert re.fullmatch(REQUIRED, value)
        if in_address := re.search(r"://\w+:(.+)@", value):
            assert re.fullmatch(REQUIRED, in_address[1])
    assert not re.search(
        r"(?i)(password|secret|key)\W*[=:] *[\w-]{3,}", str(COMPOSE["services"][service].get("command"))
    )


def test_what_services_wait_for_and_mount_is_there():
    for service in COMPOSE["services"].values():
        assert set(service.get("depends_on", {})) <= set(SERVICES)
        assert {volume.split(":")[0] for volume in service.get("volumes", [])} <= set(COMPOSE["volumes"])
        assert {one["source"] for one in service.get("configs", [])} <= set(COMPOSE.get("configs", {}))
        assert "healthcheck" in service


def test_mlflows_server_is_of_the_version_that_is_installed_here():
    from importlib.metadata import version

    assert f":v{version('mlflow').rpartition('.')[0]}." in COMPOSE["services"]["mlflow"]["image"]


def test_the_guide_has_commands_and_settings_to_check():
    assert len(COMMANDS) >= 4
    assert len(SETTINGS) >= 6


@pytest.mark.mostly_slow
@pytest.mark.parametrize(("experiment", "overrides"), COMMANDS)
def test_a_command_of_the_guide_composes(compose, experiment, overrides):
    assert compose(*overrides.split(), experiment=experiment).experiment == experiment


@pytest.mark.mostly_slow(fast=2)
@pytest.mark.parametrize("override", SETTINGS)
def test_a_setting_of_the_guide_composes(compose, override):
    assert override in compose(override).overrides


@pytest.mark.parametrize("path", re.findall(r"\]\(([^):#]+)\)", SCALING))
def test_what_the_guide_links_to_is_there(path):
    assert (DOCS / path).exists()
