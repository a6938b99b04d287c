"""Which code computed a number."""

from __future__ import annotations

import os
import subprocess
import tomllib
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


@cache
def version() -> str:
    """Version of the project, and the commit of its checkout where that is known; "-dirty" with changes since."""
    number = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["version"]
    if not (_ROOT / ".git").exists():
        return number
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}  # looking must not get in the way of a commit
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):  # no git here, or not allowed to look: the number has to do
        return number
    return f"{number}+{done.stdout.strip()}"
