"""Generators to give away: what lies in the folder, what goes to the hub, what comes back."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from huggingface_hub import HfApi, ModelCard, ModelHubMixin
from safetensors import safe_open

import stylegan_v
from errors import InputError
from stylegan_v.networks import Generator
from stylegan_v.pretrained import load_generator
from stylegan_v.sharing import PretrainedGenerator
from stylegan_v.weights import write_weights
from tests.stylegan_v.fake_hub import fake_hub
from tests.stylegan_v.test_pretrained import config, frames, node, trained

FACTS = {"updates": 1234, "num_clips": 4936, "num_frames": 14808, "fps": 30.0, "augment_p": 0.25}
FILES = ["README.md", "config.yaml", "generator.safetensors"]


def run_folder(folder: Path, generator: Generator | None = None, described: Any = None, **facts: Any) -> Path:
    """Weights beside the whole config of a run, which says where things are on this machine."""
    folder.mkdir(parents=True)
    generator = trained(node()) if generator is None else generator
    write_weights(folder / "generator.safetensors", {"generator_ema": generator.state_dict()}, facts)
    whole = config(node() if described is None else described)
    whole["model"]["init_args"] |= {"total_kimg": 25000, "discriminator": {"class_path": "x"}}
    whole |= {"data": {"init_args": {"root": "/home/someone/private"}}, "runs_dir": "/secret/runs", "run_name": "mine"}
    (folder / "config.yaml").write_text(yaml.safe_dump(whole))
    return folder


def test_what_is_saved_is_what_was_loaded(tmp_path: Path) -> None:
    generator = trained(node())
    loaded = PretrainedGenerator.from_pretrained(run_folder(tmp_path / "run", generator, **FACTS))
    assert isinstance(loaded, Generator) and isinstance(loaded, ModelHubMixin)
    assert not loaded.training and not any(p.requires_grad for p in loaded.parameters())
    loaded.save_pretrained(tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES
    again = PretrainedGenerator.from_pretrained(tmp_path / "out")
    assert again.facts == loaded.facts == FACTS
    for shared in (loaded, again, stylegan_v.from_pretrained(tmp_path / "out"), copy.deepcopy(loaded)):
        assert torch.equal(frames(shared), frames(generator))


def test_the_config_says_how_to_build_the_generator_and_nothing_else(tmp_path: Path) -> None:
    facts = {**FACTS, "source": "/home/someone/snapshot.pkl"}
    PretrainedGenerator.from_pretrained(run_folder(tmp_path / "run", **facts)).save_pretrained(tmp_path / "out")
    saved = yaml.safe_load((tmp_path / "out" / "config.yaml").read_text())
    assert saved == {"model": {"class_path": "stylegan_v.gan.VideoGAN", "init_args": {"generator": node()}}}
    for path in (tmp_path / "out").iterdir():
        assert not re.search(b"someone|secret|mine|" + str(tmp_path).encode(), path.read_bytes())
    with safe_open(tmp_path / "out" / "generator.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["facts"]) == FACTS


def test_a_changed_generator_is_saved_as_it_is(tmp_path: Path) -> None:
    loaded = PretrainedGenerator.from_pretrained(run_folder(tmp_path / "run"))
    before = load_generator(tmp_path / "run").mapping.w_avg.clone()
    loaded.mapping.w_avg += 1
    loaded.save_pretrained(tmp_path / "run")  # into the folder it was read from
    assert torch.equal(load_generator(tmp_path / "run").mapping.w_avg, before + 1)


@pytest.mark.parametrize("name", ["last.ckpt", "model.safetensors"])
def test_the_folder_of_a_run_is_left_alone(tmp_path: Path, name: str) -> None:
    loaded = PretrainedGenerator.from_pretrained(run_folder(tmp_path / "run"))
    (tmp_path / "run" / name).write_bytes(b"more to train on")
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(InputError, match=rf"run: holds {name}, whose config must stay: choose another folder"):
        loaded.save_pretrained(tmp_path / "run")
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def card_of(folder: Path) -> ModelCard:
    return ModelCard.load(folder / "README.md")


def test_the_card_says_what_the_generator_is(tmp_path: Path) -> None:
    described = node(
        {
            "class_path": "stylegan_v.networks.MotionEncoder",
            "init_args": {**node()["init_args"]["motion"]["init_args"], "c_dim": 3},
        },
        resolution=[16, 24],
        c_dim=3,
    )
    generator = trained(described)
    loaded = PretrainedGenerator.from_pretrained(run_folder(tmp_path / "run", generator, described, **FACTS))
    loaded.save_pretrained(tmp_path / "out", license="cc-by-4.0")
    card = card_of(tmp_path / "out")
    assert (card.data.license, card.data.library_name) == ("cc-by-4.0", "stylegan-v-fields")
    assert {"stylegan-v", "video-generation", "model_hub_mixin"} <= set(card.data.tags)
    rows = dict(
        line.strip("| ").split(" | ") for line in card.text.splitlines() if line.startswith("| ") and line != "| | |"
    )
    num_parameters = sum(parameter.numel() for parameter in generator.parameters())
    assert rows == {
        "frames": "16 x 24 pixels (height x width)",
        "parameters": f"{num_parameters:,}".replace(",", " "),
        "labels": "3",
        "frames per second of its data": "30",
        "updates": "1 234",
        "real clips shown": "4 936",
        "real frames shown": "14 808",
    }
    assert card.text.lstrip().startswith("# out\n")


def test_a_card_leaves_out_what_is_not_known(tmp_path: Path) -> None:
    loaded = PretrainedGenerator.from_pretrained(run_folder(tmp_path / "run"))
    loaded.save_pretrained(tmp_path / "out")
    card = card_of(tmp_path / "out")
    assert card.data.license is None and "license" not in card.content
    assert "updates" not in card.text and "not known" in card.text


def test_a_card_that_was_written_by_hand_stays(tmp_path: Path) -> None:
    loaded = PretrainedGenerator.from_pretrained(run_folder(tmp_path / "run"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "README.md").write_text("by hand")
    loaded.save_pretrained(tmp_path / "out")
    assert (tmp_path / "out" / "README.md").read_text() == "by hand"


def test_the_program_on_the_card_runs(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = PretrainedGenerator.from_pretrained(run_folder(tmp_path / "run", fps=2.0))
    loaded.save_pretrained(tmp_path / "out")
    (program,) = re.findall(r"```python\n(.*?)```", card_of(tmp_path / "out").text, re.DOTALL)
    exec(program, {})
    shapes = re.findall(r"torch\.Size\(\[(\d+), (\d+), 3, 8, 8\]\)", capsys.readouterr().out)
    assert {int(videos) for videos, _ in shapes} == {4}
    assert sum(int(num) for _, num in shapes) == 8  # 4 seconds at 2 frames per second


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was sent to the hub: instead of sending, the files and the options are written down."""
    commits: list[dict[str, Any]] = []

    def create(self: HfApi, repo_id: str, **options: Any) -> SimpleNamespace:
        commits.append({"created": repo_id, "token": self.token, **options})
        return SimpleNamespace(repo_id=repo_id)

    def upload(self: HfApi, *, folder_path: Path, **options: Any) -> str:
        files = {str(p.relative_to(folder_path)): p.read_bytes() for p in sorted(folder_path.rglob("*")) if p.is_file()}
        commits.append({"files": files, **options})
        return f"commit of {options['repo_id']}"

    monkeypatch.setattr(HfApi, "create_repo", create)
    monkeypatch.setattr(HfApi, "upload_folder", upload)
    return commits


def test_three_files_go_to_the_hub(tmp_path: Path, sent: list[dict[str, Any]]) -> None:
    generator = trained(node())
    loaded = PretrainedGenerator.from_pretrained(run_folder(tmp_path / "run", generator, **FACTS))
    assert loaded.push_to_hub("user/name", license="mit", private=True, token="t", branch="b") == "commit of user/name"
    created, commit = sent
    assert (created["created"], created["private"], created["token"]) == ("user/name", True, "t")
    assert (commit["repo_id"], commit["repo_type"], commit["revision"]) == ("user/name", "model", "b")
    assert list(commit["files"]) == FILES
    assert "license: mit" in commit["files"]["README.md"].decode()
    assert 'from_pretrained("user/name")' in commit["files"]["README.md"].decode()

    repository = tmp_path / "hub" / "user" / "name"
    repository.mkdir(parents=True)
    for name, content in commit["files"].items():
        (repository / name).write_bytes(content)
    with fake_hub(tmp_path / "hub") as fetched:
        again = PretrainedGenerator.from_pretrained("user/name", cache_dir=tmp_path / "cache")
        plain = stylegan_v.from_pretrained("user/name", cache_dir=tmp_path / "cache")
    assert sorted(fetched) == ["user/name/config.yaml", "user/name/generator.safetensors"]
    assert again.facts == FACTS and type(plain) is Generator
    assert torch.equal(frames(again), frames(generator)) and torch.equal(frames(plain), frames(generator))


def test_saving_and_sending_in_one_call(tmp_path: Path, sent: list[dict[str, Any]]) -> None:
    loaded = PretrainedGenerator.from_pretrained(run_folder(tmp_path / "run"))
    address = loaded.save_pretrained(tmp_path / "out", license="mit", push_to_hub=True, repo_id="user/name")
    assert address == "commit of user/name"
    assert list(sent[1]["files"]) == sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES
    assert "license: mit" in sent[1]["files"]["README.md"].decode()


def test_a_name_that_the_hub_does_not_take(tmp_path: Path, sent: list[dict[str, Any]]) -> None:
    loaded = PretrainedGenerator.from_pretrained(run_folder(tmp_path / "run"))
    with pytest.raises(InputError, match=r"^user//name: no name of a repository: give user/name"):
        loaded.push_to_hub("user//name")
    assert sent == []


def test_a_downloaded_config_executes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    repository = run_folder(tmp_path / "hub" / "user" / "name")
    for described in (
        {"class_path": "os.system", "init_args": {"command": "touch executed"}},
        node({"class_path": "subprocess.Popen", "init_args": {"args": ["touch", "executed"]}}),
    ):
        (repository / "config.yaml").write_text(yaml.safe_dump(config(described)))
        cache = tmp_path / f"cache_{described['class_path']}"
        with fake_hub(tmp_path / "hub"), pytest.raises(InputError, match="may name only modules of"):
            PretrainedGenerator.from_pretrained("user/name", cache_dir=cache)
    assert not (tmp_path / "executed").exists()


class OtherGenerator(Generator):
    """A generator of a class of its own."""


def test_a_generator_of_another_class_is_not_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stylegan_v.networks.OtherGenerator", OtherGenerator, raising=False)
    monkeypatch.setattr(OtherGenerator, "__module__", "stylegan_v.networks")
    described = {**node(), "class_path": "stylegan_v.networks.OtherGenerator"}
    folder = run_folder(tmp_path / "run", described=described)
    assert type(stylegan_v.from_pretrained(folder)) is OtherGenerator
    with pytest.raises(InputError, match="only a Generator can be shared"):
        PretrainedGenerator.from_pretrained(folder)
