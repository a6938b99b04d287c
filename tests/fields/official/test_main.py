from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from fields.official.__main__ import main
from fields.weights import load_field, read_field
from tests.fields import released_files


def refusal(capsys: pytest.CaptureFixture[str], *args: object) -> str:
    with pytest.raises(SystemExit) as exit_:
        main([str(one) for one in args])
    assert exit_.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize("name", ["edsr_u1_e1_c1", "rdn_u1_e1_c1"])
def test_a_checkpoint_becomes_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    found, out = released_files.recording(name), tmp_path / "models" / "liif"
    main(["liif", str(released_files.write(tmp_path / "file.pth", name)), str(out)])
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "config.yaml", "model.safetensors"]
    said = capsys.readouterr().out
    assert f"python generate.py upscale --ckpt {out} PICTURE --scale 4" in said
    model = load_field(out)
    values = model(found["inp"], found["rand/coord"], found["rand/cell"])
    torch.testing.assert_close(values, found["rand/out"], rtol=1e-4, atol=1e-4)
    recorded = {key: one for key, one in found.group("sd").items() if "_mean" not in key}
    state = load_file(out / "model.safetensors")
    assert state.keys() == recorded.keys() and all(torch.equal(state[key], one) for key, one in recorded.items())
    node = yaml.safe_load((out / "config.yaml").read_text())["model"]
    assert node["class_path"] == "fields.liif.LIIF" and node["init_args"]["hidden"] == [32, 32]
    assert read_field(out).facts["source"] == "file.pth"


def test_the_card_says_what_it_is(tmp_path: Path) -> None:
    main(["liif", str(released_files.write(tmp_path / "edsr.pth")), str(tmp_path / "out")])
    card = (tmp_path / "out" / "README.md").read_text()
    assert "LIIF with EDSR" in card and "edsr.pth, sha256 " in card and "encoder.sub_mean.weight" in card
    assert "| epoch | 1000 |" in card


def test_a_conversion_is_made_anew_and_nothing_else_is_touched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = released_files.write(tmp_path / "file.pth"), tmp_path / "out"
    for _ in range(2):
        main(["liif", str(path), str(out)])
    capsys.readouterr()
    (out / "notes.txt").write_text("mine")
    assert "holds something else (notes.txt)" in refusal(capsys, "liif", path, out)
    assert "is a file" in refusal(capsys, "liif", path, path)
    assert (out / "notes.txt").read_text() == "mine"


def test_refusals_are_one_line_and_leave_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.pth").write_bytes(b"not weights")
    assert "official: error:" in refusal(capsys, "liif", tmp_path / "bad.pth", tmp_path / "out")
    assert "no such file" in refusal(capsys, "liif", tmp_path / "none.pth", tmp_path / "out")
    assert "system" in refusal(capsys, "stylegan", tmp_path / "bad.pth", tmp_path / "out")
    assert not (tmp_path / "out").exists()
