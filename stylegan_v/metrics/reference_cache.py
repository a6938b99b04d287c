"""Statistics of real videos kept on disk, under a key of everything that changes them."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from errors import InputError
from stylegan_v.checkpoints import replacing

_log = logging.getLogger(__name__)
_FORMAT = 1
_KEY, _SANITY = "__key__", "__sanity__"


class ReferenceCache:
    """A folder of statistics.

    Args:
        folder: Where; None: stylegan_v/metrics in $XDG_CACHE_HOME or ~/.cache.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
        self.folder = home / "stylegan_v" / "metrics" if folder is None else Path(folder).expanduser()

    def path(self, key: Mapping[str, Any]) -> Path:
        """Where the statistics with this key are."""
        return self.folder / f"{hashlib.sha256(_text(key).encode()).hexdigest()[:32]}.npz"

    def get(self, key: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, float]] | None:
        """Arrays and sanity rows under this key; None where there are none, or not whole.

        Args:
            key: Plain values: all that the statistics depend on.
        """
        path = self.path(key)
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            if str(arrays.pop(_KEY)) != _text(key):
                return None
            return arrays, json.loads(str(arrays.pop(_SANITY)))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except Exception as error:  # a damaged archive makes numpy, zipfile and zlib raise whatever they like
            _log.warning("%s: damaged (%s), and made anew", path, " ".join(str(error).split()))
            return None

    def put(self, key: Mapping[str, Any], arrays: Mapping[str, np.ndarray], sanity: Mapping[str, float]) -> None:
        """Keeps statistics; a folder that cannot be written is said, and no more: the result is there already.

        Args:
            key: As in `get`.
            arrays: The statistics.
            sanity: Rows that belong to them.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(self.path(key)) as file:
                np.savez(file, **arrays, **{_KEY: np.array(_text(key)), _SANITY: np.array(json.dumps(dict(sanity)))})
        except (OSError, InputError) as error:
            _log.warning("%s: statistics of real videos cannot be kept there: %s", self.folder, error)


def _text(key: Mapping[str, Any]) -> str:
    return json.dumps({**key, "format": _FORMAT}, sort_keys=True)
