"""Dockerfile and compose.yaml name files, extras, commands and options that there are."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
HELPS = """
import json, sys
from prefect.cli import app
for words in json.loads(sys.argv[1]):
    sys.argv[1:] = [*words, "--help"]
    try:
        app()
    except SystemExit as ended:
        assert not ended.code
    print("=====")
"""
"""Prints the help of several of Prefect's commands, each followed by a line."""


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    return found


def instructions(name: str) -> list[str]:
    """What follows an instruction wherever it stands, continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", DOCKERFILE)
    return re.findall(rf"^{name} (.*)$", joined, re.MULTILINE)


def test_the_image_is_not_run_as_root_and_says_whether_it_works() -> None:
    assert instructions("USER") == ["${USER_ID}"]
    assert instructions("ARG")[-1] == "USER_ID=1000"
    (check,) = instructions("HEALTHCHECK")
    assert json.loads(check.partition("CMD ")[2]) == ["nst-rs", "--version"]
    assert json.loads(instructions("CMD")[0]) == ["nst-rs", "--help"]


def test_what_the_program_and_prefect_write_by_themselves_lies_in_the_users_own_home() -> None:
    variables = dict(each.split("=", 1) for each in instructions("ENV")[0].split())
    home = Path(variables["HOME"])
    assert f'--create-home --no-log-init --non-unique --uid "${{USER_ID}}" {home.name} ' in instructions("RUN")[-1]
    # Prefect's server has no page where it cannot write this folder.
    assert home in Path(variables["PREFECT_UI_STATIC_DIRECTORY"]).parents


def test_the_image_is_built_from_files_that_are_there_with_extras_that_there_are() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (asked,) = re.findall(r'"\.\[\$\{NETWORK\},([\w,]+)\]"', DOCKERFILE)
    assert {"cpu", "gpu", *asked.split(",")} <= set(extras)
    assert {"flows", "view", "print"} <= set(asked.split(","))
    sent = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert all((ROOT / name).exists() for name in sent)
    # What building the wheel reads: pyproject.toml says so.
    assert {"nst_rs", "nst_rs_flows", "configs", "sample_data", "prefect.yaml", "README.md", "LICENSE"} <= set(sent)
    assert "requirements.lock" in sent


def test_everything_is_served_to_this_machine_alone(services: dict[str, dict[str, Any]]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_links_to_runs_lead_to_the_page_as_this_machine_reaches_it(services: dict[str, dict[str, Any]]) -> None:
    (port,) = services["server"]["ports"]
    asking = [name for name, service in services.items() if "prefect" in str(service.get("command"))]
    assert sorted(asking) == ["deployments", "server", "worker"]
    page = f"http://{port.rpartition(':')[0]}"
    assert {services[name]["environment"]["PREFECT_UI_URL"] for name in asking} == {page}
    assert services["server"]["environment"]["PREFECT_SERVER_UI_API_URL"] == f"{page}/api"


def test_services_wait_for_services_that_there_are_until_they_are_healthy(services: dict[str, dict[str, Any]]) -> None:
    for service in services.values():
        for name, until in service.get("depends_on", {}).items():
            assert "healthcheck" in services[name] or until["condition"] == "service_completed_successfully"
    assert all("healthcheck" in service for service in services.values())


def commands(services: dict[str, dict[str, Any]]) -> list[list[str]]:
    """The commands of all services, and those within the scripts that they run in a shell."""
    found = [service["command"] for service in services.values() if "command" in service]
    scripts = [command[-1] for command in found if command[0] == "sh"]
    lines = [line.rpartition("||")[2].split() for script in scripts for line in script.splitlines()]
    return [command for command in [*found, *lines] if command[0] in ("nst-rs", "prefect")]


def test_the_services_run_commands_that_there_are(services: dict[str, dict[str, Any]]) -> None:
    ran = commands(services)
    assert {tuple(command[:3]) for command in ran} == {
        ("nst-rs", "init", "."),
        ("prefect", "server", "start"),
        ("prefect", "worker", "start"),
        ("prefect", "work-pool", "create"),
        ("prefect", "--no-prompt", "deploy"),
    }
    of_prefect = [[word for word in command[1:] if word != "--no-prompt"] for command in ran if command[0] == "prefect"]
    named = [
        words[: next((n for n, word in enumerate(words) if n and word not in ("start", "create")), None)]
        for words in of_prefect
    ]
    asked = [sys.executable, "-c", HELPS, json.dumps(named)]
    *helps, rest = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split("=====\n")
    assert rest == ""
    for words, shown in zip(of_prefect, helps, strict=True):
        assert all(option in shown for option in words if option.startswith("--")), shown


def test_the_services_work_in_the_pool_and_the_folders_that_the_deployments_name(
    services: dict[str, dict[str, Any]],
) -> None:
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    pools = {deployment["work_pool"]["name"] for deployment in deployments}
    worker = services["worker"]["command"]
    assert {worker[worker.index("--pool") + 1]} == pools == {"styling"}
    assert "prefect work-pool create styling " in services["deployments"]["command"][-1]
    (output,) = {d["parameters"]["output"] for d in deployments if "output" in d.get("parameters", {})}
    assert f"/data/{output}" in services["maps"]["command"]
    (served_at,) = {d["parameters"]["served_at"] for d in deployments if "served_at" in d.get("parameters", {})}
    (port,) = services["maps"]["ports"]
    assert served_at == f"http://{port.rpartition(':')[0]}"
    assert instructions("WORKDIR")[-1] == "/data"
