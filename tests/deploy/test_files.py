"""The files of deploy/ agree with the code and with each other."""

import base64
import configparser
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from likeness import __version__
from likeness.kit.envelope import KEY_BYTES
from likeness.server.running import STOP_SECONDS
from likeness.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[2]
DEPLOY = REPOSITORY / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
UNIT = (DEPLOY / "likeness.service").read_text()
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
MANIFESTS = {path.name: yaml.safe_load(path.read_text()) for path in (DEPLOY / "kubernetes").glob("*.yaml")}
STATEFUL_SET = MANIFESTS["statefulset.yaml"]
SERVERS = ("likeness", "likeness-postgres")
PODS = {"statefulset.yaml": STATEFUL_SET["spec"]["template"]["spec"], "setup.yaml": MANIFESTS["setup.yaml"]["spec"]}
STOP_ROOM_SECONDS = 2 * STOP_SECONDS
"""Time for the requests in progress, and as much again to close the data."""


def image_setting(name: str) -> str:
    found = re.search(rf"LIKENESS_{name.upper()}=(\S+)", DOCKERFILE)
    assert found, name
    return found[1]


def of_image() -> Settings:
    return Settings(
        data_dir=Path(image_setting("data_dir")), host=image_setting("host"), port=int(image_setting("port"))
    )


def container() -> dict[str, Any]:
    return dict(PODS["statefulset.yaml"]["containers"][0])


def test_every_setting_that_is_named_is_there() -> None:
    known = {f"LIKENESS_{name.upper()}" for name in Settings.model_fields}
    texts = [path.read_text() for path in DEPLOY.rglob("*") if path.is_file()]
    named = {name for text in texts for name in re.findall(r"LIKENESS_[A-Z_]*[A-Z]", text)}
    assert "LIKENESS_BASE_URL" in named
    assert named <= known


def test_the_image_has_the_products_version_and_port() -> None:
    assert f'image.version="{__version__}"' in DOCKERFILE
    assert of_image().port == Settings.model_fields["port"].default
    assert f"\nEXPOSE {of_image().port}\n" in DOCKERFILE
    assert f"http://127.0.0.1:{of_image().port}/healthz" in DOCKERFILE
    assert f"\nVOLUME {of_image().data_dir}\n" in DOCKERFILE
    images = {COMPOSE["services"][name]["image"] for name in SERVERS} | {
        pod["containers"][0]["image"] for pod in PODS.values()
    }
    assert images == {f"likeness:{__version__}"}


def test_the_image_is_built_from_the_files_that_git_has() -> None:
    wanted = re.findall(r"^!(\S+)", (DEPLOY / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
    assert {"src", "uv.lock", "scripts/uv"} <= set(wanted)
    assert all((REPOSITORY / each).exists() for each in wanted)
    assert " sync --locked " in DOCKERFILE


@pytest.mark.parametrize("name", SERVERS)
def test_a_composed_server_has_no_rights_and_time_to_stop(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert int(service["stop_grace_period"].removesuffix("s")) >= STOP_ROOM_SECONDS
    assert service["ports"] == [f"127.0.0.1:{of_image().port}:{of_image().port}"]
    assert f"data:{of_image().data_dir}" in service["volumes"]
    assert service["environment"]["LIKENESS_WORKERS"] == str(service["cpus"])
    assert set(service["secrets"]) <= set(COMPOSE["secrets"])


def test_a_composed_setup_writes_the_key_that_the_server_reads() -> None:
    source = COMPOSE["secrets"]["master_key"]["file"]
    for name in ("setup", "setup-postgres"):
        setup = COMPOSE["services"][name]
        assert setup["command"] == ["init"]
        assert "./secrets:/secrets" in setup["volumes"]
        assert setup["environment"]["LIKENESS_KEY_FILE"] == source.replace("./secrets", "/secrets")
    assert "master_key" not in COMPOSE["services"]["setup"].get("secrets", [])
    assert COMPOSE["services"]["likeness"]["environment"]["LIKENESS_KEY_FILE"] == "/run/secrets/master_key"


@pytest.mark.parametrize("name", PODS)
def test_a_pod_meets_the_restricted_standard(name: str) -> None:
    pod = PODS[name]
    assert pod["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers", "ephemeralContainers"} & set(pod)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert f"USER {pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}\n" in DOCKERFILE
    assert all({"persistentVolumeClaim", "secret", "emptyDir"} & set(volume) for volume in pod["volumes"])
    for each in pod["containers"]:
        assert each["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} == set(each["resources"]["limits"]) == set(each["resources"]["requests"])


def test_one_pod_serves_and_is_asked_where_the_server_answers() -> None:
    assert STATEFUL_SET["spec"]["replicas"] == 1
    assert container()["ports"] == [{"name": "http", "containerPort": of_image().port}]
    paths = {name: container()[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}
    assert paths == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    waits = int(container()["lifecycle"]["preStop"]["exec"]["command"][1])
    assert PODS["statefulset.yaml"]["terminationGracePeriodSeconds"] >= STOP_ROOM_SECONDS + waits
    settings = MANIFESTS["configmap.yaml"]["data"]
    assert settings["LIKENESS_WORKERS"] == container()["resources"]["limits"]["cpu"]


def test_the_pods_parts_have_the_names_that_it_asks_for() -> None:
    pod, key = PODS["statefulset.yaml"], MANIFESTS["secret.example.yaml"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in container()["volumeMounts"]}
    assert set(volumes) == set(mounts)
    assert volumes["master-key"]["secret"]["secretName"] == key["metadata"]["name"]
    assert len(base64.b64decode(key["data"]["master.key"])) == KEY_BYTES
    assert (
        MANIFESTS["configmap.yaml"]["data"]["LIKENESS_KEY_FILE"] == f"{mounts['master-key']}/{next(iter(key['data']))}"
    )
    assert mounts["data"] == str(of_image().data_dir)
    claim = MANIFESTS["volume.yaml"]["metadata"]["name"]
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == claim
    labels = STATEFUL_SET["spec"]["template"]["metadata"]["labels"]
    assert STATEFUL_SET["spec"]["serviceName"] == MANIFESTS["service.yaml"]["metadata"]["name"]
    assert MANIFESTS["service.yaml"]["spec"]["selector"] == labels
    assert MANIFESTS["poddisruptionbudget.yaml"]["spec"]["selector"]["matchLabels"] == labels
    spaces = {manifest["metadata"].get("namespace") for manifest in MANIFESTS.values()} - {None}
    assert spaces == {MANIFESTS["namespace.yaml"]["metadata"]["name"]}


def test_the_unit_keeps_its_data_where_it_may_write() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # systemd distinguishes the case
    unit.read_string(UNIT)
    service = unit["Service"]
    assert f"LIKENESS_DATA_DIR=/var/lib/{service['StateDirectory']}" in service["Environment"]
    assert service["StateDirectoryMode"] == "0700"
    assert int(service["TimeoutStopSec"]) >= STOP_ROOM_SECONDS
    assert int(service["LimitNOFILE"]) >= 2 * int(Settings.model_fields["max_connections"].default)
