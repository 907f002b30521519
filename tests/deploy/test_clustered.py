"""The files for several machines agree with the code, and leave room for the shards.

No validator of KubeRay's own kinds is at hand, so the Pods of a RayCluster are validated as Pods.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from lacking import needed_program
from likeness import __version__
from likeness.settings import MEBIBYTE, Settings

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RAY = DEPLOY / "kubernetes" / "ray"
GROUP = "the dependency group `deploy`"
COMPOSE = yaml.safe_load((DEPLOY / "compose.ray.yaml").read_text())
CLUSTER = yaml.safe_load((RAY / "raycluster.yaml").read_text())
(MACHINES,) = CLUSTER["spec"]["workerGroupSpecs"]
PODS = {"head": CLUSTER["spec"]["headGroupSpec"]["template"], "machine": MACHINES["template"]}
CONFIG: dict[str, str] = {
    **yaml.safe_load((DEPLOY / "kubernetes" / "configmap.yaml").read_text())["data"],
    **yaml.safe_load((RAY / "configmap.yaml").read_text())["data"],
    "LIKENESS_DATABASE_URL": "postgresql+psycopg://database/likeness",
}


def said_by(program: str, *arguments: "str | Path") -> str:
    done = subprocess.run([needed_program(program, of=GROUP), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def settings_of(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Settings(base_url="https://face.example.com")


def demand_room(settings: Settings, *, machines: int, memory: int, cpus: int) -> None:
    """Check that the nodes of Ray take all shards, also without one machine."""
    shards = settings.gallery_parts * settings.gallery_replicas
    assert shards <= (machines - 1) * cpus
    assert shards * settings.shard_megabytes * MEBIBYTE <= (machines - 1) * memory


def test_compose_accepts_its_file() -> None:
    said_by("check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.ray.yaml")


def test_composed_machines_have_room_for_the_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = COMPOSE["services"]["machine"]
    given = {name: value for name, value in machine["environment"].items() if "$" not in value}
    settings = settings_of(given, monkeypatch)
    assert settings.shares_galleries
    started = dict(word.removeprefix("--").split("=") for word in machine["command"][0].split() if "=" in word)
    count = machine["deploy"]["replicas"]
    demand_room(settings, machines=count, memory=int(started["memory"]), cpus=int(started["num-cpus"]))


def test_only_the_machines_reach_ray() -> None:
    services = COMPOSE["services"]
    assert COMPOSE["networks"]["machines"] == {"internal": True}
    assert services["head"]["networks"] == ["machines"]
    assert {"ports", "secrets"} & set(services["head"]) == set()
    assert [name for name, each in services.items() if "machines" in each.get("networks", [])] == ["head", "machine"]


@pytest.mark.parametrize("name", ["head", "machine", "setup"])
def test_a_composed_service_has_no_rights(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["image"] == f"likeness-ray:{__version__}"
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])


def test_kubernetes_accepts_the_manifests_and_the_pods_of_the_cluster(tmp_path: Path) -> None:
    files = [RAY / "configmap.yaml", RAY / "networkpolicy.yaml"]
    for name, pod in PODS.items():
        metadata = {"name": name, **pod["metadata"]}
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod["spec"]}))
    assert said_by("kubernetes-validate", "--strict", *files).count(" passed for resource ") == len(files)


@pytest.mark.parametrize("name", PODS)
def test_a_pod_meets_the_restricted_standard(name: str) -> None:
    pod: dict[str, Any] = PODS[name]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    volumes = {volume["name"] for volume in pod["volumes"]}
    for each in pod["containers"]:
        assert each["image"] == f"likeness-ray:{__version__}"
        assert each["securityContext"]["allowPrivilegeEscalation"] is False
        assert each["securityContext"]["readOnlyRootFilesystem"] is True
        assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert {mount["name"] for mount in each["volumeMounts"]} == volumes


def test_shards_have_the_settings_of_the_servers_and_room(monkeypatch: pytest.MonkeyPatch) -> None:
    shards, server = PODS["machine"]["spec"]["containers"]
    assert shards["name"] == "ray-worker"
    assert (shards["envFrom"], shards["env"]) == (server["envFrom"], server["env"])
    assert shards["volumeMounts"] == server["volumeMounts"]  # with /tmp/ray, by which the server finds its node
    settings = settings_of(CONFIG, monkeypatch)
    assert settings.shares_galleries
    start = MACHINES["rayStartParams"]
    demand_room(settings, machines=MACHINES["replicas"], memory=int(start["memory"]), cpus=int(start["num-cpus"]))
