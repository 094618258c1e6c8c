"""The maps that a schedule has made of an inbox, in one style and configuration: STAC items, one per scene.

The file is GeoJSON, in which people and programs find maps. It is also the schedule's own memory: which scenes are
made, which have failed, how often and why. A scene without a map has an item without a place and without files.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from nst_rs.config.sections import ELSEWHERE, NAMED_WEIGHTS, RunConfig
from nst_rs.errors import ConfigError, OutputError
from nst_rs.files import lock
from nst_rs.files.fingerprint import fingerprint
from nst_rs.files.replacing import written_at_once
from nst_rs.schedule.inbox import Arrival

CATALOGUE = "catalogue.geojson"
BANDS = ".bands"
"""What the name of the file of bands beside a map adds to the map's."""
CUT_SHORT = "the run that was at it did not end"

State = Literal["made", "failed", "arriving", "removed"]


@dataclass(frozen=True)
class Cost:
    """What a map took; None where it is not known."""

    seconds: float | None = None
    core_seconds: float | None = None
    gpu_seconds: float | None = None

    @classmethod
    def beside(cls, path: Path) -> "Cost":
        """Return what a run record tells: nothing where it is not there or does not say."""
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            cost = record.get("cost", {})
            return cls(round(sum(record["seconds"].values()), 3), cost.get("core_seconds"), cost.get("gpu_seconds"))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()


@dataclass(frozen=True)
class Entry:
    """The state of one scene."""

    entry: str
    """The scene's name in the inbox."""
    listing: str
    """The digest of the delivery that the entry is about."""
    state: State
    attempts: int = 0
    reason: str = ""
    """The reason why the scene failed, or why its map was removed."""
    map: str = ""
    """The map's path, from the catalogue's folder."""
    time: str = ""
    """The time at which the state was noted, in UTC."""
    seconds: float | None = None
    """How long the map's run took; None where it is not known."""
    core_seconds: float | None = None
    """The processor time of the map's run."""
    gpu_seconds: float | None = None
    """The time of the map's run in its network on a GPU."""
    item: Mapping[str, Any] | None = None
    """The map's STAC item, as it lies beside the map."""

    @classmethod
    def seen(cls, arrival: Arrival) -> "Entry":
        """Return the entry of a scene that is still arriving."""
        return cls(arrival.entry, arrival.listing, "arriving", time=_now())

    def begun(self, arrival: Arrival) -> "Entry":
        """Return the entry while one more attempt runs. It says failed, in case the attempt never ends."""
        again = self.listing == arrival.listing and self.state != "removed"
        attempts = self.attempts if again else 0
        return Entry(arrival.entry, arrival.listing, "failed", attempts + 1, CUT_SHORT, time=_now())

    def failed(self, reason: str) -> "Entry":
        """Return the entry of an attempt that failed."""
        return replace(self, reason=reason, time=_now())

    def made(self, tif: Path, item: Mapping[str, Any], cost: Cost) -> "Entry":
        """Return the entry of an attempt that made a map."""
        return replace(self, state="made", reason="", map=tif.name, time=_now(), item=item, **vars(cost))

    def removed(self, reason: str) -> "Entry":
        """Return the entry of a scene whose map was removed for its age. The scene is styled again if it comes back."""
        return Entry(self.entry, self.listing, "removed", self.attempts, reason, time=_now())


_ACCOUNT = [field.name for field in fields(Entry) if field.name != "item"]
_NOWHERE: Mapping[str, Any] = {"type": "Feature", "stac_version": "1.1.0", "geometry": None, "links": [], "assets": {}}
"""The keys that STAC requires of an item, for a scene without a map. Its name and time are added."""


@dataclass(frozen=True)
class Catalogue:
    """The entries of one product, by the scenes' names, in the product's folder."""

    folder: Path
    entries: Mapping[str, Entry]

    @classmethod
    def read(cls, folder: Path) -> "Catalogue":
        """Return the catalogue in `folder`, an empty one where there is none. Raises OutputError for a damaged one."""
        path = folder / CATALOGUE
        try:
            features = json.loads(path.read_text(encoding="utf-8"))["features"]
            return cls(folder, {feature["id"]: _entry(feature) for feature in features})
        except FileNotFoundError:
            return cls(folder, {})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise OutputError(
                f"catalogue {path}",
                expected="what an earlier run left",
                got=f"{type(error).__name__}: {error}",
                do="move it away, and the maps that are there will be taken up into a new one",
            ) from error

    def with_entry(self, name: str, entry: Entry) -> "Catalogue":
        """Return the catalogue with one entry put or replaced, as it is written at once. Raises OutputError."""
        changed = replace(self, entries={**self.entries, name: entry})
        changed.write()
        return changed

    def write(self) -> None:
        """Replace the file, at once. Raises OutputError."""
        path = self.folder / CATALOGUE
        features = [_feature(name, entry) for name, entry in sorted(self.entries.items())]
        lines = ",\n".join(json.dumps(feature) for feature in features)  # one line per scene: the items are long
        text = f'{{"type": "FeatureCollection", "features": [\n{lines}\n]}}'
        with written_at_once(path, f"catalogue {path}") as temporary:
            self.folder.mkdir(parents=True, exist_ok=True)
            temporary.write_text(text + "\n", encoding="utf-8")

    def due(self, arrivals: Iterable[Arrival], most_attempts: int) -> list[Arrival]:
        """Return the scenes to try: those newly delivered, and those that failed fewer than `most_attempts` times.

        A made map that is no longer there is to be made again, and so is one that was removed for its age.
        """
        return [arrival for arrival in arrivals if self._is_due(arrival, most_attempts)]

    def given_up(self, most_attempts: int) -> dict[str, Entry]:
        """Return name → entry of the scenes that failed too often. They are tried again once delivered anew."""
        return {
            name: entry
            for name, entry in self.entries.items()
            if entry.state == "failed" and entry.attempts >= most_attempts
        }

    def older_than(self, time: datetime, present: Iterable[Arrival], names: Iterable[str] = ()) -> dict[str, Entry]:
        """Return name → entry of the maps that were made before `time`, and whose scenes are not `present`.

        `names` are those of all else in the inbox: a scene that cannot be read now has not left it.
        """
        here = {name for arrival in present for name in (arrival.name, arrival.entry)} | set(names)
        return {
            name: entry
            for name, entry in self.entries.items()
            if entry.state == "made" and entry.map and not here & {name, entry.entry} and _made_before(entry, time)
        }

    def knows(self, arrival: Arrival) -> bool:
        """Whether an earlier run has seen this delivery just as it is now."""
        known = self.entries.get(arrival.name)
        return known is not None and known.listing == arrival.listing

    def begun(self, arrival: Arrival) -> Entry:
        """Return the entry for one more attempt."""
        return self.entries.get(arrival.name, Entry.seen(arrival)).begun(arrival)

    def _is_due(self, arrival: Arrival, most_attempts: int) -> bool:
        known = self.entries.get(arrival.name)
        if known is None or known.listing != arrival.listing:
            return True
        if known.state == "made":
            return not (self.folder / known.map).is_file()
        return known.state in ("arriving", "removed") or known.attempts < most_attempts


def clashes(arrivals: Iterable[Arrival], catalogue: Catalogue) -> dict[str, str]:
    """Return entry → reason for the scenes whose map would have another's name: ``a.tif`` where there is ``a.jp2``.

    So would that of ``a.bands.tif`` where there is ``a.tif``: the file of bands beside that one's map is called so.

    The first that was seen has the name; of several new ones the first by name.
    """
    owners = {name: entry.entry for name, entry in catalogue.entries.items()}
    reasons = {}
    for arrival in arrivals:
        owner = owners.setdefault(arrival.name, arrival.entry)
        if owner == arrival.entry and arrival.name.endswith(BANDS):
            owner = owners.get(arrival.name.removesuffix(BANDS), owner)
        elif owner == arrival.entry and arrival.name not in catalogue.entries:
            owner = owners.get(arrival.name + BANDS, owner)
        if owner != arrival.entry:
            reasons[arrival.entry] = f"{arrival.entry}: expected a name of its own, got that of {owner}; rename it"
    return reasons


def product_name(config: RunConfig) -> str:
    """Return the name of the folder for the maps of a style and a configuration: the styles' names, and a digest.

    The digest is of all that the maps depend on: the contents of the style images and of the picture that the descent
    starts from, the images' weights, and every setting that is not the default. The places of files and the size of the
    memory make no difference. Raises ConfigError without a style image.
    """
    if not config.style.all_images:
        raise ConfigError("style.images", expected="an image", got="none", do="name one with --style")
    settings = config.model_dump(
        mode="json",
        exclude_defaults=True,
        exclude={"scene": {"paths"}, "output": {"path", "every"}, "compute": {*ELSEWHERE, "device"}},
    )
    shares = sorted((_digest(path), share) for path, share in config.style.shares.items() if share)
    settings = {name: section for name, section in settings.items() if section}
    settings["style"]["images"] = shares
    if config.style.regions:
        settings["style"]["regions"] = [region.without_places(_digest) for region in config.style.regions]
    if config.model.weights not in NAMED_WEIGHTS:
        settings["model"]["weights"] = _digest(Path(config.model.weights))
    if config.style.agree:
        settings["style"]["agree"] = [_digest(path) for path in config.style.agree]
    if isinstance(config.schedule.init, Path):
        settings["schedule"]["init"] = _digest(config.schedule.init)
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    return f"{'+'.join(dict.fromkeys(path.stem for path in config.style.all_images))}-{digest[:12]}"


def path_of_lock(folder: Path) -> Path:
    """Return the lock of the product in `folder`, which is made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"output folder {folder}", expected="a folder to write to", got=str(error)) from error
    return lock.path_for(folder / CATALOGUE)


def _digest(path: Path) -> str:
    try:
        return str(fingerprint(path)["sha256"])
    except OSError as error:
        raise ConfigError(str(path), expected="a readable file", got=str(error)) from error


def _feature(name: str, entry: Entry) -> dict[str, Any]:
    """Return an entry as a STAC item, whose properties are the map's and the account's."""
    account = {key: getattr(entry, key) for key in _ACCOUNT}
    item = entry.item or {**_NOWHERE, "properties": {"datetime": entry.time}}
    return {**item, "id": name, "properties": {"scene": name, **account, **item["properties"]}}


def _entry(feature: Mapping[str, Any]) -> Entry:
    properties = dict(feature["properties"])
    del properties["scene"]
    account = {key: properties.pop(key) for key in _ACCOUNT if key in properties}  # older catalogues have fewer
    tif = account.get("map", "")
    if tif and (Path(tif).name != tif or tif == ".."):  # an old map is removed: never one elsewhere
        raise ValueError(f"the map {tif}, which is not in the catalogue's folder")
    return Entry(**account, item={**feature, "properties": properties} if feature["assets"] else None)


def _made_before(entry: Entry, time: datetime) -> bool:
    try:
        return datetime.fromisoformat(entry.time) < time
    except (ValueError, TypeError):  # somebody's else than this program's
        return False


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
