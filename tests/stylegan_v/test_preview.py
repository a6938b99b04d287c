from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from datasets.datamodule import SyntheticVideos
from datasets.frame_sampling import RandomSpans
from datasets.sources import VideoFile
from stylegan_v import preview
from stylegan_v.augment import AugmentPipe
from stylegan_v.noise import AddressedRandom
from stylegan_v.rendering import to_uint8

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "stylegan_v" / "tiny.yaml"


@pytest.fixture
def data() -> SyntheticVideos:
    data = SyntheticVideos(6, 24, 16, frame_sampler=RandomSpans(3, max_num_frames=24), batch_size=4, labelled=True)
    data.setup("fit")
    return data


def refusal(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    with pytest.raises(SystemExit) as exit_:
        preview.main(list(args))
    assert exit_.value.code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("preview: error")]
    assert len(lines) == 1
    return lines[0]


def test_shows_the_clips_that_training_draws_first(data: SyntheticVideos) -> None:
    seen = preview.see(data, None, 6, p=0.5)
    assert seen.numbers == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1)]
    for i, key in enumerate(seen.numbers):
        item = data.clips()[key]
        assert torch.equal(seen.loaded[i], item["clip"]) and torch.equal(seen.t[i], item["t"])
    assert torch.equal(seen.augmented, seen.loaded)


def test_augments_as_the_discriminator_step_of_that_update_does(data: SyntheticVideos) -> None:
    augment = AugmentPipe("bgc")
    seen = preview.see(data, augment, 6, p=0.7)
    random = AddressedRandom(data.seed, 1, "discriminator/real", torch.arange(2))
    expected = to_uint8(augment(seen.loaded[4:].float() / 127.5 - 1, 0.7, random))
    assert torch.equal(seen.augmented[4:], expected)
    assert (seen.augmented != seen.loaded).any()
    assert torch.equal(preview.see(data, augment, 2, p=0.0).augmented, seen.loaded[:2])


def test_caption_names_frames_and_class(data: SyntheticVideos) -> None:
    seen = preview.see(data, None, 5, p=0)
    times = ", ".join(str(t) for t in seen.t[4].tolist())
    assert seen.caption(4) == f"update 1, clip 0; frames {times}; class {int(seen.c[4].argmax())}"


def test_contact_sheet_holds_every_frame_twice(data: SyntheticVideos) -> None:
    seen = preview.see(data, AugmentPipe("bgc"), 2, p=0.7)
    picture = preview.contact_sheet(seen)
    assert picture.size == (2 * 3 * 100 + 16, 2 * (96 + 22))
    top = 96 + 22 + 18  # of the second row
    third_as_loaded = picture.crop((4 + 200, top, 4 + 296, top + 96)).resize((16, 16), Image.Resampling.NEAREST)
    first_augmented = picture.crop((312, top, 408, top + 96)).resize((16, 16), Image.Resampling.NEAREST)
    assert third_as_loaded.tobytes() == seen.loaded[1, 2].permute(1, 2, 0).contiguous().numpy().tobytes()
    assert first_augmented.tobytes() == seen.augmented[1, 0].permute(1, 2, 0).contiguous().numpy().tobytes()


def test_command_builds_only_data_and_augmentation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("a network was built")

    monkeypatch.setattr("stylegan_v.networks.generator.SynthesisNetwork", refuse)
    out = tmp_path / "look"
    preview.main(["--config", str(CONFIG), "--out", str(out), "--num_clips", "5", "--data.num_videos", "9", "--p", "1"])
    assert sorted(path.name for path in out.iterdir()) == ["clips.mp4", "clips.png"]
    assert "9 videos; augmented at p = 1" in capsys.readouterr().out
    video = VideoFile(out / "clips.mp4")
    assert len(video) == 9 and video.size == (2 * 100 - 4, 2 * (3 * 100 - 4) + 32)
    with Image.open(out / "clips.png") as picture:
        assert picture.size == (2 * 3 * 100 + 16, 5 * 118)


def test_config_without_augmentation_as_a_run_saves_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = yaml.safe_load(CONFIG.read_text())
    del config["model"]["init_args"]["augment"], config["model"]["init_args"]["ada"]
    config |= {"ckpt_path": None, "run_name": "tiny"}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    preview.main(["--config", str(path), "--out", str(tmp_path / "look"), "--num_clips", "1"])
    assert "the config augments nothing" in capsys.readouterr().out


@pytest.mark.parametrize(
    "args, says",
    [
        (["--data.resolution", "8"], "resolution: 8 is not possible"),
        (["--data.num_video", "4"], "data.num_video: no such option"),
        (["--p", "1.5"], "probability between 0 and 1"),
        (["--num_clips", "0"], "at least one clip"),
        (["--model.augment.init_args.preset", "nonsense"], "nonsense"),
        (["--out", str(CONFIG)], "tiny.yaml"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, args: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert says in refusal(capsys, "--config", str(CONFIG), *args)
