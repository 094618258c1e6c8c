import os

# Both are read on import, and the flow sets them only where they are not set yet.
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["DO_NOT_TRACK"] = "1"

import importlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from nst_rs.objective.terms import registry
from tests.forkserver import fork_dasks_workers
from tests.toy_terms import WITH_TOYS

# No test is a matter of time: the machine may be busy.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

SAMPLES = Path(__file__).parents[1] / "sample_data"
LONGEST = (
    "test_deployment.py",
    "test_faults.py",
    "test_scenes.py",
    "cli/test_stopping.py",
    "executors/test_dask.py",
    "neural/test_build.py",
    "test_flow.py",
    "test_stylize_inbox.py",
    "view/test_painted.py",
    "view/test_server.py",
    "runs/test_zooms.py",
    "runs/optimised/test_going_on.py",
    "runs/test_session.py",
    "runs/optimised/test_levels.py",
    "runs/test_agreement.py",
    "runs/painted/test_painting.py",
)
"""The files that take longest, the longest first."""


def pytest_sessionstart() -> None:
    """Hear of SIGHUP, as the commands that tests start do: whoever runs the tests may ignore it, as nohup does."""
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files: at the end, when no file is left to begin, no process waits long for another."""
    ranks = {Path(__file__).parent / name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


@pytest.fixture(scope="session", autouse=True)
def forked_workers() -> None:
    """Workers that a test's own process starts begin at once."""
    fork_dasks_workers()


@pytest.fixture(scope="session")
def olinda() -> Path:
    """The sample scene's folder: four tiles of six named bands."""
    return SAMPLES / "olinda"


@pytest.fixture(scope="session")
def harvest() -> Path:
    """A painting."""
    return SAMPLES / "styles" / "harvest.jpg"


@pytest.fixture(scope="session")
def one_network() -> Iterator[None]:
    """Runs in this process share a network of a kind."""
    from nst_rs.learning import session
    from nst_rs.neural import build
    from nst_rs.runs.optimised import levels
    from tests.networks import built_once

    with pytest.MonkeyPatch.context() as patch:
        for module in (build, levels, session):
            patch.setattr(module, "build_kernel", built_once)
        yield


@pytest.fixture(scope="session")
def quick(one_network: None) -> dict[str, Any]:
    """Settings under which the real pipeline runs in half a second: VGG16's first convolution, few iterations."""
    return {
        "style.size": 96,
        "objective.content_layers": {"conv1_1": 2e-5},
        "objective.style_layers": {"conv1_1": 6e-7},
        "schedule.levels": 2,
        "schedule.iterations": (3, 2),
        "compute.precision": "float32",
        "compute.device": "cpu",
    }


@pytest.fixture(scope="session")
def deep(quick: dict[str, Any]) -> dict[str, Any]:
    """The same with VGG16's first two blocks, for what depends on pooling and on halos: three times as long."""
    layers = {
        "objective.content_layers": {"conv2_1": 2e-5},
        "objective.style_layers": {"conv1_1": 6e-7, "conv2_1": 3e-10},
    }
    return {**quick, **layers}


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A Prefect server on loopback with a database of its own, for flows that run in this process."""
    importlib.import_module("nst_rs_flows.stylize_scene")  # sets what Prefect reads on import
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=600):
        yield


@pytest.fixture
def toy_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two further loss terms, listed as a module of their own would be."""
    monkeypatch.setattr(registry, "TERMS", WITH_TOYS)
