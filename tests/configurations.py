"""Configuration files for tests."""

import json
from pathlib import Path
from typing import Any

import yaml


def write_configuration(path: Path, data: Any) -> Path:
    """Write `data` as JSON or as YAML, by the file's name, and return the path."""
    path.write_text(json.dumps(data) if path.suffix == ".json" else yaml.safe_dump(data), encoding="utf-8")
    return path
