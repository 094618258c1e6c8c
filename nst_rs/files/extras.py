"""Packages that not everybody needs, and the extra of this program that brings each: ``pip install 'nst-rs[view]'``."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec

from nst_rs.errors import ResourceError

_NETWORK = "pip install 'nst-rs[cpu]', or 'nst-rs[gpu]' for an NVIDIA GPU"
INSTALLED_BY = {
    **dict.fromkeys(("tensorflow", "keras", "h5py"), _NETWORK),
    **dict.fromkeys(("dask", "distributed"), "pip install 'nst-rs[dask]'"),
    **dict.fromkeys(("titiler", "rio_tiler", "uvicorn", "fastapi", "starlette"), "pip install 'nst-rs[view]'"),
    **dict.fromkeys(("xarray", "rioxarray"), "pip install 'nst-rs[xarray]'"),
    "matplotlib": "pip install 'nst-rs[print]'",
    "pynvml": "pip install 'nst-rs[gpu]'",
}
"""The name by which a package is imported → what installs it."""


@contextmanager
def naming_extras(what: str) -> Iterator[None]:
    """Raise ResourceError, which names the extra, where `what` imports a package in this context that is not there."""
    try:
        yield
    except PackageNotFoundError:  # which is a ModuleNotFoundError, of what pip calls a package
        raise
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in INSTALLED_BY:
            raise
        raise _missing(package, what) from error


def check_installed(package: str, what: str) -> None:
    """Raise ResourceError where a package that `what` needs is not there. Nothing is imported."""
    if find_spec(package) is None:
        raise _missing(package, what)


def _missing(package: str, what: str) -> ResourceError:
    return ResourceError(f"{what} needs {package}, which is not installed", do=INSTALLED_BY[package])
