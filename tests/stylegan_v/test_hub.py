"""What is fetched from the hub, and what is said when it does not give it; the hub is a server on this machine."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import errors, get_session

from errors import InputError
from stylegan_v.hub import clear_hub_errors, download, is_hub_id
from tests.stylegan_v.fake_hub import COMMIT, fake_hub, hub_at


class _Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("executed",)


def repository(folder: Path) -> Path:
    """A repository with our two files, and more beside them."""
    folder.mkdir(parents=True)
    (folder / "generator.safetensors").write_bytes(b"weights")
    (folder / "config.yaml").write_text("model: {}")
    (folder / "README.md").write_text("a card")
    (folder / "config.json").write_text("{}")
    (folder / "modeling.py").write_text("import os; os.mkdir('executed')")
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(_Hostile()))
    (folder / "evil.generator.safetensors").write_bytes(b"other")
    return folder


def test_only_weights_and_config_are_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    repository(tmp_path / "hub" / "user" / "name")
    with fake_hub(tmp_path / "hub") as fetched:
        folder = download("user/name", cache_dir=tmp_path / "cache")
        assert sorted(fetched) == ["user/name/config.yaml", "user/name/generator.safetensors"]
        again = download("user/name", cache_dir=tmp_path / "cache", revision=COMMIT)
        assert len(fetched) == 2  # of the same commit: nothing is fetched twice
    assert again == folder and folder.is_relative_to(tmp_path / "cache")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "generator.safetensors": b"weights",
        "config.yaml": b"model: {}",
    }
    assert not (tmp_path / "executed").exists()
    offline = download("user/name", cache_dir=tmp_path / "cache", local_files_only=True)
    assert offline == folder


@pytest.mark.parametrize("missing", ["generator.safetensors", "config.yaml"])
def test_a_repository_of_another_program(tmp_path: Path, missing: str) -> None:
    (repository(tmp_path / "hub" / "user" / "name") / missing).unlink()
    with (
        fake_hub(tmp_path / "hub"),
        pytest.raises(InputError, match=rf"user/name: has no {missing}: give a repository"),
    ):
        download("user/name", cache_dir=tmp_path / "cache")


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("user/gone", {}, "no such folder here, and the hub shows you no such repository"),
        ("user/name", {"revision": "v9"}, "has no revision v9: give a branch, tag or commit"),
        ("user/gated", {}, "its owner must let you in"),
        ("user/other", {"local_files_only": True}, "none downloaded before, and the hub is out of reach"),
        ("user--name/x", {}, "no name of a repository: give user/name"),
    ],
)
def test_what_the_hub_does_not_give(tmp_path: Path, name: str, options: dict[str, Any], says: str) -> None:
    repository(tmp_path / "hub" / "user" / "name")
    with fake_hub(tmp_path / "hub"), pytest.raises(InputError, match=f"^{name}: .*{says}") as caught:
        download(name, cache_dir=tmp_path / "cache", **options)
    assert "\n" not in str(caught.value)


def test_no_network(tmp_path: Path) -> None:
    with (
        hub_at("http://127.0.0.1:9"),
        pytest.raises(InputError, match=r"^user/name: .* the hub is out of reach: go online"),
    ):
        download("user/name", cache_dir=tmp_path / "cache")


def test_a_refusal_is_passed_on_in_one_line() -> None:
    request = get_session().build_request("GET", "http://127.0.0.1:9")
    response = errors.Response(403, request=request)
    with pytest.raises(InputError, match=r"^user/name: the hub refuses: You need the right to write$"):
        with clear_hub_errors("user/name"):
            raise errors.HfHubHTTPError("You need the\n\nright to write", response=response)
    with (
        pytest.raises(InputError, match=r"^user/name: the hub does not know you: log in"),
        clear_hub_errors("user/name"),
    ):
        raise errors.LocalTokenNotFoundError("no token")
    with (
        pytest.raises(InputError, match=r"^user/name: the hub is out of reach: go online$"),
        clear_hub_errors("user/name"),
    ):
        raise ConnectionError("no answer")
    with pytest.raises(ZeroDivisionError), clear_hub_errors("user/name"):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("user/name", True),
        ("a-b.c_d/E.1-x", True),
        ("name", False),
        ("user/name/more", False),
        ("./name", False),
        ("~/name", False),
        ("/name", False),
        ("user/", False),
        ("user/na me", False),
        ("runs/last.ckpt", False),
        ("out/model.safetensors", False),
        ("snapshots/ffs.pkl", False),
    ],
)
def test_a_name_on_the_hub_is_two_words(name: str, is_one: bool) -> None:
    assert is_hub_id(name) is is_one
    assert is_hub_id(Path(name)) is (is_one and "./" not in name)
