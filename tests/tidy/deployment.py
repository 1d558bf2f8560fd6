"""What `deploy/` would run: the image, and the processes of each way to deploy it."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.tidy.checkout import ROOT, text

DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose.yaml"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
KUBERNETES = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
INSTALLED = "/opt/tidings/bin/tidings"
INSTANCE_PORT = "8080"

Object = dict[str, Any]


@dataclass(frozen=True)
class Process:
    """One process of Tidings: the words behind `tidings`, and what stands in its environment."""

    file: Path
    words: list[str]
    environment: Mapping[str, str]
    stop_seconds: float = float("inf")
    written_folders: list[str] = field(default_factory=list)

    def option(self, name: str) -> str | None:
        """The value of an option."""
        return self.words[self.words.index(name) + 1] if name in self.words else None

    @property
    def is_server(self) -> bool:
        """Whether it serves until it is stopped."""
        return self.words[0] == "serve"


@dataclass(frozen=True)
class Image:
    """The last stage of the Dockerfile."""

    words: list[str]
    environment: Mapping[str, str]
    user: str
    port: str
    python: str
    copied: list[str]
    stop_signal: str
    health_check: list[str]


@cache
def image() -> Image:
    """What the Dockerfile says."""
    stages: list[list[tuple[str, str]]] = [[]]
    for instruction, rest in _instructions(text(DEPLOY / "Dockerfile")):
        if instruction == "FROM":
            stages.append([])
        stages[-1].append((instruction, rest))
    before, build, final = stages
    last = dict(final)
    (check,) = (rest for name, rest in final if name == "HEALTHCHECK")
    return Image(
        words=[*json.loads(last["ENTRYPOINT"]), *json.loads(last["CMD"])],
        environment=dict(
            word.split("=", 1)
            for name, rest in final
            if name == "ENV"
            for word in shlex.split(rest)
        ),
        user=last["USER"],
        port=last["EXPOSE"],
        python=dict(before)["ARG"].partition("=")[2],
        copied=[word for name, rest in build if name == "COPY" for word in rest.split()[:-1]],
        stop_signal=last["STOPSIGNAL"],
        health_check=json.loads(check.partition("CMD ")[2]),
    )


def _instructions(dockerfile: str) -> Iterator[tuple[str, str]]:
    code = "\n".join(line for line in dockerfile.splitlines() if not line.startswith("#"))
    for line in code.replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield name, rest.strip()


def processes() -> list[Process]:
    """Every process of Tidings that anything in `deploy/` would start."""
    return [_of_image(), *_of_compose(), *_of_units(), *_of_pods()]


def _of_image() -> Process:
    program, *words = image().words
    assert program == "tidings"
    return Process(DEPLOY / "Dockerfile", words, image().environment)


@cache
def services() -> Mapping[str, Object]:
    """The services of the compose file."""
    found: dict[str, Object] = yaml.safe_load(text(COMPOSE))["services"]
    return found


def _of_compose() -> Iterator[Process]:
    for service in services().values():
        if service["image"] == "tidings":
            yield Process(
                COMPOSE,
                service["command"],
                {**image().environment, **variables(DEPLOY / f"{service['env_file']}.example")},
                float(service["stop_grace_period"].removesuffix("s")),
                [service["tmpfs"].partition(":")[0]],
            )


def variables(path: Path) -> dict[str, str]:
    """What a file of variables sets."""
    lines = (line.strip() for line in text(path).splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def unit(path: Path) -> dict[str, list[str]]:
    """What a unit says, whatever the section."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", text(path), re.MULTILINE):
        found.setdefault(name, []).append(value.replace("%i", INSTANCE_PORT))
    return found


def _of_units() -> Iterator[Process]:
    for path in UNITS:
        said = unit(path)
        (command,) = said["ExecStart"]
        program, *words = command.split()
        assert program == INSTALLED
        given = {} if path.name == "tidings.service" else _of_cluster()
        yield Process(
            path,
            words,
            given | dict(one.split("=", 1) for one in said["Environment"]),
            float(said["TimeoutStopSec"][0]),
            [f"/var/lib/{one}" for one in said.get("StateDirectory", [])]
            + [f"/run/{one}" for one in said.get("RuntimeDirectory", [])],
        )


def _of_cluster() -> dict[str, str]:
    return variables(DEPLOY / "tidings.env.example")


@cache
def objects() -> list[tuple[Path, Object]]:
    """Every object of Kubernetes, with its file."""
    return [
        (path, one)
        for path in KUBERNETES
        if path.name != "kustomization.yaml"
        for one in yaml.safe_load_all(text(path))
    ]


def pods() -> list[tuple[Path, Object]]:
    """What each deployment and job makes pods by."""
    return [
        (path, one["spec"]["template"]["spec"])
        for path, one in objects()
        if one["kind"] in ("Deployment", "Job")
    ]


def configured(pod: Object) -> dict[str, str]:
    """The variables that a pod takes from settings and secrets."""
    (container,) = pod["containers"]
    kinds = {"configMapRef": ("ConfigMap", "data"), "secretRef": ("Secret", "stringData")}
    found: dict[str, str] = {}
    for source in container["envFrom"]:
        ((reference, named),) = source.items()
        kind, member = kinds[reference]
        (wanted,) = (
            one[member]
            for _, one in objects()
            if one["kind"] == kind and one["metadata"]["name"] == named["name"]
        )
        found |= wanted
    return found


def _of_pods() -> Iterator[Process]:
    for path, pod in pods():
        (container,) = pod["containers"]
        assert container["image"] == "tidings"
        told = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command")
        slept = float(told[1]) if told else 0.0
        yield Process(
            path,
            container["args"],
            {**image().environment, **configured(pod)},
            pod.get("terminationGracePeriodSeconds", 30) - slept,
            [one["mountPath"] for one in container["volumeMounts"]],
        )
