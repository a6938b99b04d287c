from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fields.codec.__main__ import as_text, main
from fields.weights import load_field
from tests.fields import small_liif
from tests.fields.codec.small_videos import NODES, NVP, folder


def refused(capsys: pytest.CaptureFixture[str], *args: object) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(list(map(str, args)))
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("codec: error: ") and error.count("\n") == 1
    return error


def test_a_field_goes_into_a_file_and_out_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, file = folder(tmp_path / "field", NVP), tmp_path / "new" / "video.field"
    main(["encode", str(source), str(file), "--quantised", "false"])
    written = capsys.readouterr().out
    main(["decode", str(file), str(tmp_path / "out")])
    main(["info", str(file)])
    assert capsys.readouterr().out == 2 * written
    assert f"file             {file.stat().st_size} bytes" in written
    assert f"bits per pixel   {8 * file.stat().st_size / 320:.6g}," in written and "psnr             30.5" in written
    t = torch.linspace(-0.8, 0.8, 5)
    before, after = (load_field(path).render(t, (8, 8)) for path in (source, tmp_path / "out"))
    assert torch.equal(before, after)
    assert [path.name for path in file.parent.iterdir()] == ["video.field"]


def test_flags_reach_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = folder(tmp_path / "field", NVP)
    flags = ["--quality", "50", "--crf", "30", "--group", "2", "--precision", "float16"]
    main(["encode", str(source), str(tmp_path / "a"), *flags])
    assert {"float16", "hevc", "jpeg", "ranges"} <= set(capsys.readouterr().out.split())


SMALL = {"width": 8, "depth": 2, "skip": 1, "colour_width": 8}
OTHERS = {
    "a signal": ("fields.cam_signal.CAMSignal", {"size": [20], "hidden": [8, 8], "knots": 6}, "(samples)", "value"),
    "a picture": (
        "fields.cam_image.CAMImage",
        {"size": [9, 12], "hidden": [8], "num_frequencies": 4, "knots": [4, 4]},
        "(height, width)",
        "pixel",
    ),
    "a scene": ("fields.radiance.nerf.NeRF", {**SMALL, "num_octaves": 2}, "none of its own", None),
    "a scene in 8 bits": ("fields.radiance.mipnerf.MipNeRF", {**SMALL, "bits": 8}, "none of its own", None),
    "a moving scene": ("fields.radiance.tnerf.TNeRF", SMALL, "none of its own", None),
}


@pytest.mark.parametrize("name", OTHERS)
def test_fields_of_everything_else_go_into_files_too(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class_path, arguments, size, unit = OTHERS[name]
    source = folder(tmp_path / "field", {"class_path": class_path, "init_args": arguments})
    main(["encode", str(source), str(tmp_path / "a")])
    written = capsys.readouterr().out
    assert size in written and (f"bits per {unit}" in written if unit else "bits per" not in written)
    main(["decode", str(tmp_path / "a"), str(tmp_path / "out")])
    main(["encode", str(tmp_path / "out"), str(tmp_path / "b")])
    assert (tmp_path / "b").read_bytes() == (tmp_path / "a").read_bytes()
    before, after = (load_field(path).state_dict() for path in (source, tmp_path / "out"))
    if "bits" not in arguments:
        assert all(torch.equal(before[key], value) for key, value in after.items())


def test_what_is_no_field_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = folder(tmp_path / "part", {"class_path": "fields.mlp.MLP", "init_args": {"in_dim": 2, "out_dim": 3}})
    assert "MLP is no field that can be stored" in refused(capsys, "encode", source, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_what_cannot_be_used_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = folder(tmp_path / "field", NODES["siren"])
    assert "is a folder" in refused(capsys, "encode", source, tmp_path)
    assert "no such file or folder" in refused(capsys, "encode", tmp_path / "none", tmp_path / "a")
    assert "quality 100" in refused(capsys, "encode", source, tmp_path / "a", "--quality", 100)
    assert "no such file" in refused(capsys, "info", tmp_path / "none")
    assert "not a coded field" in refused(capsys, "info", source / "config.yaml")
    main(["encode", str(source), str(tmp_path / "a")])
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:-1])
    assert "cut off" in refused(capsys, "decode", tmp_path / "a", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_a_file_says_of_itself_cannot_steer_the_terminal() -> None:
    known = {"class": "x", "size": None, "parameters": 1, "bits": 8, "payload_bits": 0, "container_bits": 8}
    report = {**known, "bits_by_form": {}, "bits_per_pixel": None, "facts": {"a\x1b[2J": "b\n\x1b[2J"}}
    text = as_text(report)
    assert "\x1b" not in text and text.count("\n") == 6 and "none of its own" in text


def test_a_run_folder_is_coded_with_what_is_known_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = small_liif.run_folder(tmp_path / "run", updates=7)
    main(["encode", str(run), str(tmp_path / "a")])
    written = capsys.readouterr().out
    assert "updates          7" in written and "none of its own" in written and "bits per pixel" not in written
    main(["decode", str(tmp_path / "a"), str(tmp_path / "out")])
    states = [load_field(path).state_dict() for path in (run, tmp_path / "out")]
    assert list(states[0]) == list(states[1])
    assert all(torch.equal(states[1][name], tensor) for name, tensor in states[0].items())
