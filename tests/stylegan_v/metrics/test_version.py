"""Which code computed a number."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from stylegan_v.metrics import version as module


@pytest.fixture(autouse=True)
def _forgotten():  # noqa: ANN202
    module.version.cache_clear()
    yield
    module.version.cache_clear()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2"\n')
    monkeypatch.setattr(module, "_ROOT", tmp_path)
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e@x"]
    done = subprocess.run(["git", "-C", folder, *identity, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_of_this_project() -> None:
    number = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]["version"]
    assert re.fullmatch(re.escape(number) + r"(\+[0-9a-f]{12}(-dirty)?)?", module.version())


def test_without_a_checkout_it_is_the_number(checkout: Path) -> None:
    assert module.version() == "1.2"


def test_changes_since_the_commit_are_said(checkout: Path) -> None:
    git(checkout, "init", "-q")
    git(checkout, "add", ".")
    git(checkout, "commit", "-q", "-m", "first")
    git(checkout, "tag", "v1")
    commit = git(checkout, "rev-parse", "--short=12", "HEAD")
    assert module.version() == f"1.2+{commit}"
    module.version.cache_clear()
    (checkout / "pyproject.toml").write_text('[project]\nversion = "1.2"\n# changed\n')
    assert module.version() == f"1.2+{commit}-dirty"


def test_checkout_that_git_cannot_read(checkout: Path) -> None:
    (checkout / ".git").write_text("nothing")
    assert module.version() == "1.2"
