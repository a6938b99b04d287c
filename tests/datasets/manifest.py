"""The manifest of a prepared store."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any


def manifest_of(dst: Path) -> dict[str, Any]:
    if dst.is_dir():
        return json.loads((dst / "manifest.json").read_text())
    with zipfile.ZipFile(dst) as archive:
        return json.loads(archive.read("manifest.json"))
