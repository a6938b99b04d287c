"""What earlier scans found, kept in the user's cache folder and trusted only as far as it still fits."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path
from typing import Any

from datasets.files import read_json, write_json
from datasets.video_facts import VideoFacts, decord_is_there
from errors import InputError

logger = logging.getLogger(__name__)

_VERSION = 1  # of what a scan finds out; raise it when the same file may be judged differently


def default_cache_dir() -> Path:
    """The project's folder in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "stylegan_v"


class ScanCache:
    """Facts about videos by kind, name and fingerprint; failures are not kept, since what they come from may be mended.

    Args:
        path: The JSON file it is kept in.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._made_with = [_VERSION, decord_is_there()]
        self._records: dict[str, Any] = {}
        self._changed = False
        try:
            document = read_json(path) if path.is_file() else None
        except (InputError, OSError) as error:
            logger.warning("cache of an earlier scan is left aside: %s", error)
            return
        if isinstance(document, dict) and document.get("made_with") == self._made_with:
            records = document.get("records")
            self._records = records if isinstance(records, dict) else {}

    @classmethod
    def at(cls, cache_dir: str | Path | None, root: Path) -> ScanCache:
        """The cache for one root, in a folder for all of them."""
        folder = Path(cache_dir).expanduser() if cache_dir is not None else default_cache_dir()
        digest = hashlib.sha256(str(root.absolute()).encode("utf-8", "surrogateescape")).hexdigest()
        return cls(folder / f"scan-{digest[:20]}.json")

    def get(self, kind: str, name: str, fingerprint: tuple[int, ...]) -> VideoFacts | None:
        """What was found, or None if nothing is known of this state of the video."""
        match self._records.get(f"{kind}:{name}"):
            case [known, int(num_frames), float(fps), int(height), int(width), str(reader)] if known == [*fingerprint]:
                return VideoFacts(num_frames, fps, height, width, reader)
        return None

    def put(self, kind: str, name: str, fingerprint: tuple[int, ...], facts: VideoFacts) -> None:
        """Remembers what was found."""
        self._records[f"{kind}:{name}"] = [[*fingerprint], *vars(facts).values()]
        self._changed = True

    def save(self) -> None:
        """Writes what is new; a cache that cannot be written costs only time, and is said in the log."""
        if not self._changed:
            return
        try:
            write_json(self.path, {"made_with": self._made_with, "records": self._records})
        except OSError as error:
            logger.warning("the next scan starts anew, its cache cannot be written: %s", error)
