"""What `deploy/` shows would start: its commands, settings, ports and paths fit the program."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.tidy.checkout import ROOT, documents, expect_none, named, source_modules, text
from tests.tidy.deployment import (
    COMPOSE,
    DEPLOY,
    INSTALLED,
    INSTANCE_PORT,
    KUBERNETES,
    UNITS,
    image,
    objects,
    pods,
    processes,
    services,
    unit,
)
from tests.tidy.program import command_faults
from tidings.api.routes import SYSTEM_ROUTES
from tidings.engine.engine import DRAIN_SECONDS
from tidings.settings import Settings
from tidings.wiring.serving import _HTTP_DRAIN_SECONDS

STOP_SECONDS = _HTTP_DRAIN_SECONDS + 2 * DRAIN_SECONDS
"""Requests of clients, then the shards, then requests to receivers."""
EXPOSURE_MAX = "20"
"""What systemd thinks is OK, in tenths."""
_VARIABLE = re.compile(r"\bTIDINGS_[A-Z][A-Z_]*[A-Z]\b")
_METRIC = re.compile(r"`(tidings_[a-z_]+[a-z])(?=[`{])")
_SUFFIX = re.compile(r"_(total|bucket|sum|count)$")
_ANALYZE = shutil.which("systemd-analyze")
_KUBECTL = shutil.which("kubectl")


def test_all_ways_to_deploy_are_looked_at() -> None:
    started = [(one.file.parent.name, *one.words) for one in processes() if one.file != COMPOSE]
    assert len(started) == 7
    assert [one.words for one in processes() if one.file == COMPOSE] == [
        ["database", "migrate"],
        ["serve", "--role", "api"],
        ["serve", "--role", "api"],
        ["serve", "--role", "worker"],
    ]


def test_the_program_takes_every_command() -> None:
    expect_none(
        (
            f"{named(one.file)} {' '.join(one.words)}: {fault}"
            for one in processes()
            for fault in command_faults(one.words)
        ),
        "The program would refuse these commands:",
    )


def test_every_process_has_settings_that_it_takes() -> None:
    for one in processes():
        settings = Settings.load(
            one.environment, {"role": one.option("--role"), "port": one.option("--port")}
        )
        assert settings.is_postgres or settings.role == "all", named(one.file)
        assert "TIDINGS_NEW_ENCRYPTION_KEY" not in one.environment


def test_examples_hold_no_key_that_somebody_might_leave_there() -> None:
    for one in processes():
        for name in ("TIDINGS_ADMIN_KEY", "TIDINGS_ENCRYPTION_KEY"):
            assert one.environment.get(name, "") == "", named(one.file)


def test_every_process_may_write_where_its_files_are() -> None:
    for one in processes():
        if one.written_folders:
            assert one.environment["TIDINGS_DATA_DIR"] in one.written_folders, named(one.file)


def test_every_server_gets_the_time_that_it_may_need_to_stop() -> None:
    for one in processes():
        if one.is_server:
            assert one.stop_seconds > STOP_SECONDS, named(one.file)


def test_the_image_is_made_of_what_is_there() -> None:
    ignored = text(DEPLOY.parent / ".dockerignore").splitlines()
    assert "*" in ignored
    for source in image().copied:
        assert (ROOT / source).exists()
        assert f"!{source}" in ignored
    assert f'"Programming Language :: Python :: {image().python}"' in text(ROOT / "pyproject.toml")


def test_the_image_runs_as_somebody_who_is_not_root() -> None:
    user, _, group = image().user.partition(":")
    assert int(user) > 0
    for path, pod in pods():
        context = pod["securityContext"]
        assert context["runAsNonRoot"], named(path)
        assert (context["runAsUser"], context["runAsGroup"]) == (int(user), int(group))
    for service in services().values():
        if service["image"] == "tidings":
            assert f"uid={user},gid={group}" in service["tmpfs"]


def test_ports_agree() -> None:
    port = image().environment["TIDINGS_PORT"]
    assert image().port == port
    assert image().environment["TIDINGS_HOST"] == "0.0.0.0"
    assert int(port) == Settings.model_fields["port"].default
    for service in services().values():
        for mapped in service.get("ports", []):
            assert mapped.rpartition(":")[2] == port
    for _, pod in pods():
        for opened in pod["containers"][0].get("ports", []):
            assert opened == {"name": "http", "containerPort": int(port)}


def test_checks_of_health_ask_for_routes_that_every_role_has() -> None:
    routes = {route.path for route in SYSTEM_ROUTES}
    (asked,) = re.findall(r"(/health/\w+)", image().health_check[-1])
    paths = {asked}
    ast.parse(image().health_check[-1])
    for path, pod in pods():
        (container,) = pod["containers"]
        if container["name"] != "migrate":
            probes = [container[f"{one}Probe"]["httpGet"] for one in ("startup", "liveness")]
            ready = container["readinessProbe"]["httpGet"]
            assert ready["path"] == "/health/ready", named(path)
            assert {one["path"] for one in probes} == {"/health/live"}, named(path)
            paths |= {one["path"] for one in (*probes, ready)}
    assert paths <= routes


def test_pods_are_closed_up() -> None:
    for path, pod in pods():
        (container,) = pod["containers"]
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"], named(path)
        assert not context["allowPrivilegeEscalation"], named(path)
        assert context["capabilities"] == {"drop": ["ALL"]}, named(path)
        assert pod["automountServiceAccountToken"] is False, named(path)


def test_no_pod_gets_variables_that_kubernetes_makes_up_for_services() -> None:
    # A service called tidings would set TIDINGS_PORT to a URL.
    for path, pod in pods():
        assert pod["enableServiceLinks"] is False, named(path)


def test_objects_of_kubernetes_select_pods_that_exist() -> None:
    labels = [
        one["spec"]["template"]["metadata"]["labels"].items()
        for _, one in objects()
        if one["kind"] in ("Deployment", "Job")
    ]
    for path, one in objects():
        selector = one.get("spec", {}).get("selector") or one.get("spec", {}).get("podSelector")
        if selector:
            wanted = selector.get("matchLabels", selector).items()
            assert any(wanted <= found for found in labels), named(path)


def test_every_object_of_kubernetes_is_applied_but_the_example() -> None:
    said = yaml.safe_load(text(DEPLOY / "kubernetes" / "kustomization.yaml"))
    others = {"kustomization.yaml", "secret.example.yaml"}
    assert set(said["resources"]) == {path.name for path in KUBERNETES} - others


@pytest.mark.skipif(_KUBECTL is None, reason="kubectl is not installed")
def test_kubernetes_puts_the_parts_together() -> None:
    assert _KUBECTL is not None
    told = subprocess.run(
        [_KUBECTL, "kustomize", DEPLOY / "kubernetes"], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    made = [*yaml.safe_load_all(told.stdout)]
    assert len(made) == len(objects()) - 1
    assert all(one["metadata"]["namespace"] == "tidings" for one in made)


def test_the_compose_file_is_taken(tmp_path: Path) -> None:
    docker = shutil.which("docker")
    if docker is None:
        pytest.skip("docker is not installed")
    if subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker has no compose here")
    for path in (COMPOSE, *DEPLOY.glob("*.env.example")):
        shutil.copy(path, tmp_path / path.name.removesuffix(".example"))
    told = subprocess.run(
        [docker, "compose", "config", "--quiet"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
@pytest.mark.skipif(_ANALYZE is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_units(path: Path, tmp_path: Path) -> None:
    assert _ANALYZE is not None
    copy = tmp_path / path.name.replace("@", f"@{INSTANCE_PORT}")
    program = Path(sys.executable).with_name("tidings")
    copy.write_text(text(path).replace(INSTALLED, str(program)))
    for command in (
        ("verify", "--man=no", copy),
        ("security", "--offline=yes", "--no-pager", f"--threshold={EXPOSURE_MAX}", copy),
    ):
        told = subprocess.run([_ANALYZE, *command], capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stdout + told.stderr
        assert not told.stderr


def test_units_differ_in_what_they_are_for_and_in_nothing_else() -> None:
    of_its_own = {
        *("Description", "DynamicUser", "Environment", "EnvironmentFile", "ExecStart", "User"),
        *("RuntimeDirectory", "RuntimeDirectoryMode", "StateDirectory", "StateDirectoryMode"),
    }
    first, *others = (
        {name: said for name, said in unit(path).items() if name not in of_its_own}
        for path in UNITS
    )
    assert all(other == first for other in others)


def test_variables_in_documents_exist() -> None:
    known = {f"TIDINGS_{name.upper()}" for name in Settings.model_fields}
    expect_none(
        (
            f"{named(path)} {name}"
            for path in documents()
            for name in sorted(set(_VARIABLE.findall(text(path))) - known)
            if not name.startswith("TIDINGS_TEST_")
        ),
        "There are no such settings:",
    )


def test_metrics_in_documents_exist() -> None:
    source = "".join(text(path) for path in source_modules())
    expect_none(
        (
            f"{named(path)} {name}"
            for path in documents()
            for name in sorted(set(_METRIC.findall(text(path))))
            if f'"{_SUFFIX.sub("", name)}"' not in source
        ),
        "Nothing of this name is counted:",
    )
