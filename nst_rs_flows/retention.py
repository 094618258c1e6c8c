"""Old maps are removed where an operator wants them kept no longer: those whose scenes have left the inbox."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prefect import get_run_logger

from nst_rs.errors import NstError, OutputError
from nst_rs.files import lock
from nst_rs.output.files import Outputs
from nst_rs.output.publish import SIDECARS
from nst_rs.schedule.catalogue import Catalogue
from nst_rs.schedule.inbox import Arrival


def without_old_maps(catalogue: Catalogue, present: Iterable[Arrival], names: Iterable[str], days: float) -> Catalogue:
    """Remove the maps that were made more than `days` ago and whose scenes are not `present`; return what is left.

    `names` are those of all that lies in the inbox, where a scene may be that cannot be read now.

    The catalogue says it of each once all its files are gone, so that a run which is killed meanwhile is gone on with.
    What cannot be removed, or has another run at it, is told in the log and left for the next time.
    """
    present, log = list(present), get_run_logger()
    if not present:
        log.info("no old map is removed while the inbox is empty: it may be a disk that is not there")
        return catalogue
    for name, entry in catalogue.older_than(datetime.now(UTC) - timedelta(days=days), present, names).items():
        tif = catalogue.folder / entry.map
        try:
            _remove(tif)
        except NstError as error:
            log.warning("%s is older than %g days, and stays: %s", tif, days, error)
            continue
        reason = f"made {entry.time}, kept {days:g} days"
        catalogue = catalogue.with_entry(name, entry.removed(reason))
        log.info("%s is removed with all that went with it: %s, and its scene is not in the inbox", tif, reason)
    return catalogue


def _remove(tif: Path) -> None:
    """Remove a map and all that goes with it, the map first: whoever finds it finds the rest. Raises NstError."""
    with lock.alone(lock.path_for(tif), f"output {tif}"):
        try:
            for path in (*reversed(Outputs.all_beside(tif)), *(Path(f"{tif}{ending}") for ending in SIDECARS)):
                with suppress(FileNotFoundError):
                    path.unlink()
        except OSError as error:
            raise OutputError(f"map {tif}", expected="leave to remove it", got=str(error)) from error
