from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from signal import SIGINT

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

import generate
from datasets.settings import read_settings
from datasets.video_file import VideoFile
from fields.upscaling import command, memory, videos
from fields.weights import load_field
from tests.fields import released_files, small_liif
from tests.fields.upscaling import sounding_video
from tests.generate_runs import refusal

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_liif.stored(tmp_path_factory.mktemp("model"))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(some_pixels(13, 17)).save(path)
    return path


def some_pixels(height: int, width: int, channels: int = 3) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, channels)).astype(np.uint8)
    return noise if channels > 1 else noise[..., 0]


def run(model: Path, source: Path, *args: object) -> None:
    generate.main(["upscale", str(source), "--ckpt", str(model), *map(str, args)])


def pixels_of(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


def rendered(model: Path, pixels: np.ndarray, size: tuple[int, int], window: tuple | None = None) -> np.ndarray:
    """The model's own rendering of a picture, as whole numbers."""
    image = torch.from_numpy(pixels / 127.5 - 1).float().permute(2, 0, 1)[None]
    values = load_field(model).render(image, size, window)[0]
    return ((values / 2 + 0.5).clamp(0, 1) * 255).round().permute(1, 2, 0).numpy().astype(int)


def test_a_picture_becomes_what_the_model_renders(model: Path, photo: Path, tmp_path: Path) -> None:
    run(model, photo, "--scale", 3.7, "--out", tmp_path / "new" / "out")
    made = pixels_of(tmp_path / "new" / "out" / "photo.png")
    assert made.shape == (48, 63, 3)
    assert np.abs(made - rendered(model, some_pixels(13, 17), (48, 63))).max() <= 1
    assert made.std() > 1


def test_tiles_change_nothing(model: Path, photo: Path, tmp_path: Path) -> None:
    run(model, photo, "--size", "61x47", "--out", tmp_path / "a.png")
    run(model, photo, "--size", "61x47", "--tile", 4, "--out", tmp_path / "b.png")
    assert np.abs(pixels_of(tmp_path / "a.png") - pixels_of(tmp_path / "b.png")).max() <= 1
    assert pixels_of(tmp_path / "a.png").shape == (47, 61, 3)


def test_less_overlap_is_another_file(model: Path, photo: Path, tmp_path: Path) -> None:
    run(model, photo, "--scale", 2, "--tile", 4, "--overlap", 1, "--out", tmp_path / "a.png")
    settings = read_settings(tmp_path / "a.png")
    assert (settings["tile"], settings["overlap"]) == (4, 1)
    run(model, photo, "--scale", 2, "--out", tmp_path / "b.png")
    assert np.abs(pixels_of(tmp_path / "a.png") - pixels_of(tmp_path / "b.png")).max() >= 1


def test_a_zoom_keeps_the_size_and_shows_the_crop(model: Path, tmp_path: Path) -> None:
    Image.fromarray(some_pixels(12, 16)).save(tmp_path / "a.png")
    run(model, tmp_path / "a.png", "--zoom", "0.5,0.25,4", "--out", tmp_path / "z.png")
    made = pixels_of(tmp_path / "z.png")
    assert made.shape == (12, 16, 3)
    expected = rendered(model, some_pixels(12, 16), (48, 64), (6, 24, 18, 40))
    assert np.abs(made - expected).max() <= 1


def test_what_is_smaller_to_both_sides_is_no_matter_of_the_model(model: Path, tmp_path: Path) -> None:
    Image.fromarray(some_pixels(32, 32)).save(tmp_path / "a.png")
    run(model, tmp_path / "a.png", "--scale", 0.5, "--zoom", "0.5,0.5,1.5", "--out", tmp_path / "s.png")
    box = (16 - 32 / 3, 16 - 32 / 3, 16 + 32 / 3, 16 + 32 / 3)
    channels = [Image.fromarray(one.astype(np.float32)) for one in some_pixels(32, 32).transpose(2, 0, 1)]
    small = np.stack([one.resize((16, 16), Image.Resampling.BICUBIC, box) for one in channels], -1)
    assert np.abs(pixels_of(tmp_path / "s.png") - small.clip(0, 255)).max() < 0.51


def test_one_side_smaller_is_reduced_with_antialiasing(model: Path, tmp_path: Path) -> None:
    Image.fromarray(some_pixels(32, 32)).save(tmp_path / "a.png")
    run(model, tmp_path / "a.png", "--size", "8x64", "--out", tmp_path / "s.png")
    made = pixels_of(tmp_path / "s.png")
    full = rendered(model, some_pixels(32, 32), (64, 32))
    small = np.asarray(Image.fromarray(full.astype(np.uint8)).resize((8, 64), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(made - small).max() <= 1


@pytest.mark.parametrize("kind", ["run", "file", "ckpt", "pth"])
def test_models_come_from_runs_folders_and_files(tmp_path: Path, model: Path, photo: Path, kind: str) -> None:
    ckpt = {
        "run": lambda: small_liif.run_folder(tmp_path / "run"),
        "ckpt": lambda: small_liif.run_folder(tmp_path / "run") / "last.ckpt",
        "file": lambda: model / "model.safetensors",
        "pth": lambda: released_files.write(tmp_path / "edsr.pth"),
    }[kind]()
    run(ckpt, photo, "--scale", 2, "--out", tmp_path / "a.png")
    made = pixels_of(tmp_path / "a.png")
    assert made.shape == (26, 34, 3)
    if kind != "pth":
        assert np.abs(made - rendered(model, some_pixels(13, 17), (26, 34))).max() <= 1


def test_grey_stays_grey_and_deep_stays_deep(model: Path, tmp_path: Path) -> None:
    Image.fromarray(some_pixels(9, 9, 1)).save(tmp_path / "grey.png")
    deep = some_pixels(9, 9, 1).astype(np.uint16) * 257
    Image.fromarray(deep).save(tmp_path / "deep.png")
    for name in ("grey", "deep"):
        run(model, tmp_path / f"{name}.png", "--scale", 3, "--out", tmp_path / "out")
    grey, deep = (Image.open(tmp_path / "out" / f"{name}.png") for name in ("grey", "deep"))
    assert (grey.mode, deep.mode) == ("L", "I;16") and grey.size == deep.size == (27, 27)
    fine = np.asarray(deep).astype(float) / 257
    assert np.abs(fine - np.asarray(grey)).max() < 0.51 and np.abs(fine - fine.round()).max() > 0.1
    colours = np.repeat(some_pixels(9, 9, 1)[..., None], 3, -1)
    expected = rendered(model, colours, (27, 27)).mean(-1)
    assert np.abs(np.asarray(grey)[:-2, :-2] - expected[:-2, :-2]).max() <= 1.1


def test_transparency_is_magnified_by_cubic_interpolation(model: Path, tmp_path: Path) -> None:
    Image.fromarray(some_pixels(8, 9, 4)).save(tmp_path / "a.png")
    run(model, tmp_path / "a.png", "--zoom", "0.5,0.5,2", "--out", tmp_path / "b.png")
    made = Image.open(tmp_path / "b.png")
    assert made.mode == "RGBA" and made.size == (9, 8)
    alpha = Image.fromarray(some_pixels(8, 9, 4)[..., 3])
    expected = alpha.resize((9, 8), Image.Resampling.BICUBIC, (2.25, 2, 6.75, 6))
    np.testing.assert_array_equal(np.asarray(made)[..., 3], np.asarray(expected))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".bmp"])
def test_results_are_written_as_their_name_ends(model: Path, tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist], exif[ExifTags.Base.Orientation] = "somebody", 6
    smooth = np.linspace(0, 255, 8 * 10 * 3).reshape(8, 10, 3).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / "a.jpg", exif=exif, dpi=(300, 300), icc_profile=b"profile", quality=100)
    run(model, tmp_path / "a.jpg", "--scale", 2, "--out", tmp_path / f"b{suffix}")
    made = Image.open(tmp_path / f"b{suffix}")
    assert made.size == (16, 20)
    settings = read_settings(tmp_path / f"b{suffix}")
    assert settings["command"] == "upscale" and settings["source"]["name"] == "a.jpg"
    if suffix != ".bmp":
        assert made.getexif()[ExifTags.Base.Artist] == "somebody"
        assert ExifTags.Base.Orientation not in made.getexif() or made.getexif()[ExifTags.Base.Orientation] == 1
        assert made.info["icc_profile"] == b"profile"
    if suffix not in (".webp",):
        assert made.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_settings_are_inside_of_a_png_and_beside_it(model: Path, photo: Path, tmp_path: Path) -> None:
    run(model, photo, "--scale", 2, "--out", tmp_path / "a.png")
    inside = json.loads(Image.open(tmp_path / "a.png").text["Comment"])
    assert inside == json.loads((tmp_path / "a.png.json").read_text()) == read_settings(tmp_path / "a.png")
    assert inside["size"] == [26, 34] and inside["box"] == [0, 0, 17, 13]


def test_what_is_complete_is_kept_and_what_is_something_else_stays(
    model: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.png"
    run(model, photo, "--scale", 2, "--out", out)
    assert "17x13 -> 34x26 pixels" in capsys.readouterr().out
    before = out.stat().st_mtime_ns
    run(model, photo, "--scale", 2, "--out", out)
    assert "(complete already)" in capsys.readouterr().out and out.stat().st_mtime_ns == before
    args = ["upscale", str(photo), "--ckpt", str(model), "--scale", "3", "--out", str(out)]
    assert "is there already, made with another size: --overwrite" in refusal(capsys, *args)
    generate.main([*args, "--overwrite"])
    assert pixels_of(out).shape == (39, 51, 3)


def test_a_folder_of_pictures_and_videos(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a2.png", "a10.jpg", "b.gif"):
        Image.fromarray(some_pixels(6, 8)).save(folder / name)
    sounding_video.make(folder / "c.mkv", num_frames=2)
    (folder / "notes.txt").write_text("nothing")
    run(model, folder, "--scale", 2, "--out", tmp_path / "out")
    made = sorted(path.name for path in (tmp_path / "out").iterdir() if path.suffix != ".json")
    assert made == ["a10.jpg", "a2.png", "b.png", "c.mkv"]
    assert f"4 files in {tmp_path / 'out'}" in capsys.readouterr().out


def test_a_video_keeps_rate_and_sound_and_gets_even_sides(model: Path, tmp_path: Path) -> None:
    source = sounding_video.make(tmp_path / "a.mp4", num_frames=3, size=(15, 20), codec="libx264")
    run(model, source, "--scale", 1.7, "--out", tmp_path / "b.mp4", "--crf", 4)
    video = VideoFile(tmp_path / "b.mp4")
    assert len(video) == 3 and video.size == (26, 34) and video.fps == pytest.approx(10)
    assert sounding_video.sound_of(tmp_path / "b.mp4") == sounding_video.sound_of(source)
    frame = VideoFile(source).read([1])[0].permute(1, 2, 0).numpy()
    expected = rendered(model, frame, (26, 34))
    made = video.read([1])[0].permute(1, 2, 0).numpy().astype(int)
    assert np.abs(made - expected).mean() < 4
    assert read_settings(tmp_path / "b.mp4")["crf"] == 4


def test_a_part_of_a_video(model: Path, tmp_path: Path) -> None:
    source = sounding_video.make(tmp_path / "a.mp4", num_frames=2, sound=None)
    run(model, source, "--zoom", "0,1,2", "--out", tmp_path / "out")
    assert VideoFile(tmp_path / "out" / "a.mp4").size == (16, 20)
    assert read_settings(tmp_path / "out" / "a.mp4")["box"] == [0, 8, 10, 16]


@pytest.mark.gpu
def test_a_gpu_gives_the_same(model: Path, photo: Path, tmp_path: Path) -> None:
    for device in ("cpu", "cuda"):
        run(model, photo, "--scale", 3.7, "--tile", 5, "--device", device, "--out", tmp_path / f"{device}.png")
    assert np.abs(pixels_of(tmp_path / "cpu.png") - pixels_of(tmp_path / "cuda.png")).max() <= 1


def test_flags_may_stand_before_the_source(model: Path, photo: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "a.png")
    generate.main(["upscale", "--ckpt", str(model), "--scale", "2", "--out", out, "--overwrite", str(photo)])
    assert pixels_of(tmp_path / "a.png").shape == (26, 34, 3)


REFUSED = [
    (["--scale", "0"], "scale: 0: give a number above 0"),
    (["--scale=-2"], "scale: -2"),
    (["--scale", "nan"], "scale: "),
    (["--scale", "inf"], "scale: "),
    (["--scale", "1e6"], "GB of memory are needed"),
    (["--scale", "1e300"], "scale: 1e+300: give a number above 0 and up to"),
    (["--size", "999999999x999999999"], "GB of memory are needed"),
    (["--size", "0x5"], "size: 0x5: has no pixels"),
    (["--size", "5"], "size: 5: give width and height"),
    (["--scale", "2", "--size", "4x4"], "size: scale is given as well"),
    ([], "scale: nothing says how large"),
    (["--zoom", "0.5,0.5,0.5"], "zoom: 0.5,0.5,0.5: give a factor from 1 on"),
    (["--zoom", "2,0.5,2"], "give the centre in [0, 1]"),
    (["--scale", "2", "--tile", "0"], "tile: 0"),
    (["--scale", "2", "--overlap=-1"], "overlap: -1"),
    (["--scale", "2", "--device", "toaster"], "device: toaster"),
    (["--scale", "2", "--device", "meta"], "device: meta"),
    (["--scale", "2", "--out", "b.txt/"], None),
    (["--scale", "5000", "--out", "b.webp"], "do not fit into a webp, 16383 a side do"),
    (["--scale", "2", "--out", "b.mp4"], "pictures are written as .png"),
    (["--scal", "2"], "scal"),
]


@pytest.mark.parametrize(("args", "message"), REFUSED, ids=str)
def test_bad_requests_are_refused_in_one_line(
    model: Path,
    photo: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    args: list[str],
    message: str | None,
) -> None:
    monkeypatch.chdir(photo.parent)
    monkeypatch.setattr(memory, "free_memory", lambda device=None: 10**10)
    if message is None:
        run(model, photo, *args)  # any name that is no picture's is that of a folder
        assert Path("b.txt/photo.png").is_file()
        return
    assert message in refusal(capsys, "upscale", "photo.png", "--ckpt", str(model), *args)
    assert [path.name for path in photo.parent.iterdir()] == ["photo.png"]


def test_bad_files_are_refused_and_leave_nothing(
    model: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(source: Path, *args: object) -> str:
        out = str(tmp_path / "out")
        line = refusal(
            capsys, "upscale", str(source), "--ckpt", str(model), "--scale", "2", "--out", out, *map(str, args)
        )
        assert not (tmp_path / "out").exists()
        return line

    noise = Image.fromarray(some_pixels(64, 64))
    noise.save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:5000])
    assert "cut.png: is damaged" in said(tmp_path / "cut.png")
    (tmp_path / "empty.jpg").touch()
    assert "empty.jpg: is empty" in said(tmp_path / "empty.jpg")
    noise.convert("CMYK").save(tmp_path / "print.jpg")
    assert "pixels of kind CMYK" in said(tmp_path / "print.jpg")
    sounding_video.make(tmp_path / "cut.mp4", num_frames=30)
    (tmp_path / "cut.mp4").write_bytes((tmp_path / "cut.mp4").read_bytes()[:2000])
    assert "cut.mp4" in said(tmp_path / "cut.mp4")
    assert "no such file or folder" in said(tmp_path / "none.png")
    (tmp_path / "nothing").mkdir()
    assert "holds neither pictures nor videos" in said(tmp_path / "nothing")
    sounding_video.make(tmp_path / "whole.mp4")
    assert "crf: 99 is no constant rate factor" in said(tmp_path / "whole.mp4", "--crf", 99)


def test_places_that_cannot_be_are_refused(
    model: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(source: Path, out: Path) -> str:
        return refusal(capsys, "upscale", str(source), "--ckpt", str(model), "--scale", "2", "--out", str(out))

    assert "is what shall be upscaled" in said(photo, tmp_path)
    Image.fromarray(some_pixels(4, 4, 4)).save(tmp_path / "alpha.png")
    assert "jpg holds no transparency" in said(tmp_path / "alpha.png", tmp_path / "b.jpg")
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "deep.png")
    assert "jpg holds no 16 bits" in said(tmp_path / "deep.png", tmp_path / "b.jpg")
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.gif", "a.ppm"):
        Image.fromarray(some_pixels(4, 4)).save(folder / name)
    assert "would be made of a.gif and of a.ppm" in said(folder, tmp_path / "out")
    assert "there are several files to make: give a folder" in said(folder, tmp_path / "b.png")
    (tmp_path / "file").touch()
    assert "is a file" in said(photo, tmp_path / "file")
    (tmp_path / "c.png").touch()
    assert "does not say how it was made" in said(photo, tmp_path / "c.png")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "photo.png").mkdir()
    assert "is a folder that is there already" in said(photo, tmp_path / "d")


def test_a_model_of_something_else_is_refused(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    node = {"class_path": "fields.mlp.MLP", "init_args": {"in_dim": 2, "out_dim": 3, "hidden": [4]}}
    small_liif.stored(tmp_path / "mlp", node)
    args = ["upscale", str(photo), "--ckpt", str(tmp_path / "mlp"), "--scale", "2", "--out", str(tmp_path / "b.png")]
    assert "holds a MLP, which upscales nothing: give a LIIF" in refusal(capsys, *args)
    args[3] = str(tmp_path / "none")
    assert "no such file or folder" in refusal(capsys, *args)


def test_a_model_of_no_numbers_is_refused(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from fields.weights import save_field

    state = small_liif.module().state_dict()
    state["imnet.layers.0.bias"] *= torch.nan
    save_field(tmp_path / "nan", small_liif.node(), state, {})
    args = ["upscale", str(photo), "--ckpt", str(tmp_path / "nan"), "--scale", "2", "--out", str(tmp_path / "b" / "c")]
    assert "no numbers: its weights are damaged" in refusal(capsys, *args)
    assert not (tmp_path / "b").exists()


def test_an_encoder_that_looks_at_all_is_not_cut(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rcan = small_liif.stored(tmp_path / "rcan", small_liif.node(small_liif.RCAN))
    args = ["upscale", str(photo), "--ckpt", str(rcan), "--scale", "2", "--out", str(tmp_path / "a.png")]
    assert "RCAN looks at the whole image at once, so that tiles would differ" in refusal(capsys, *args, "--tile", "8")
    generate.main(args)
    assert np.abs(pixels_of(tmp_path / "a.png") - rendered(rcan, some_pixels(13, 17), (26, 34))).max() <= 1
    monkeypatch.setattr(memory, "free_memory", lambda device=None: 10_000)
    args[-1] = str(tmp_path / "b.png")
    monkeypatch.setattr(command, "check_result", lambda *_: None)
    assert "give --tile 256 --overlap 32 for nearly the same" in refusal(capsys, *args)
    generate.main([*args, "--tile", "8", "--overlap", "4"])
    assert pixels_of(tmp_path / "b.png").shape == (26, 34, 3)


def test_an_interruption_leaves_nothing(
    model: Path, tmp_path: Path, photo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "write_picture", interrupt)
    monkeypatch.setattr(videos._Output, "end", interrupt)
    sounding_video.make(tmp_path / "a.mp4", num_frames=2)
    for source in (photo, tmp_path / "a.mp4"):
        with pytest.raises(SystemExit) as exit_:
            run(model, source, "--scale", 2, "--out", tmp_path / "x" / "out")
        assert exit_.value.code == 130 and "interrupted" in capsys.readouterr().err
        assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_a_signal_in_the_middle_leaves_nothing(model: Path, tmp_path: Path) -> None:
    Image.fromarray(some_pixels(64, 64)).save(tmp_path / "a.png")
    out = tmp_path / "x" / "out"
    args = ["upscale", str(tmp_path / "a.png"), "--ckpt", str(model), "--scale", "150", "--out", str(out)]
    started = subprocess.Popen(
        [sys.executable, "generate.py", *args], cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    while not out.exists() and started.poll() is None:  # it computes from here on
        time.sleep(0.01)
    started.send_signal(SIGINT)
    _, err = started.communicate(timeout=60)
    assert started.returncode == 130 and "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
