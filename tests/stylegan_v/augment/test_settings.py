"""Presets, overrides, and what is refused."""

from __future__ import annotations

from pathlib import Path

import jsonargparse
import pytest

from errors import InputError
from stylegan_v.augment import PRESETS, AugmentPipe
from stylegan_v.augment.settings import resolve
from stylegan_v.official.settings import derive_settings


@pytest.mark.parametrize("pipe", sorted(set(PRESETS) - {"none", "directed", "faces"}))
def test_presets_are_the_original_s_pipes(pipe: str) -> None:
    original = derive_settings([f"training.augpipe={pipe}"])["augment"]
    assert AugmentPipe("none", original).settings == AugmentPipe(pipe).settings


def test_our_presets_leave_out_what_would_leak() -> None:
    directed, faces = AugmentPipe("directed").settings, AugmentPipe("faces").settings
    assert directed == resolve("bgc", {"xflip": 0, "rotate90": 0})
    assert faces.xflip and not faces.rotate90 and not faces.lumaflip


@pytest.mark.parametrize(
    "preset, overrides, named",
    [
        ("bcg", {}, "'bcg'"),
        ("bgc", {"rotate_90": 0}, "'rotate_90'"),
        ("bgc", {"imgfilter_bands": [1, 1]}, "'imgfilter_bands'"),
        ("bgc", {"imgfilter_bands": 1}, "'imgfilter_bands'"),
        ("bgc", {"hue": [1, 1]}, "'hue'"),
        ("bgc", {"hue": -1}, "'hue'"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(preset: str, overrides: dict, named: str) -> None:
    with pytest.raises(InputError, match=named):
        AugmentPipe(preset, overrides)


def test_a_yaml_file_names_the_preset_and_single_members(tmp_path: Path) -> None:
    parser = jsonargparse.ArgumentParser()
    parser.add_argument("--config", action="config")
    parser.add_subclass_arguments(AugmentPipe, "augment")
    config = tmp_path / "config.yaml"
    config.write_text(
        "augment:\n  class_path: stylegan_v.augment.AugmentPipe\n"
        "  init_args: {preset: directed, overrides: {hue: 0, scale_std: 0.1, imgfilter_bands: [1, 1, 0, 0]}}\n"
    )
    for arguments, hue in ([], 0), (["--augment.init_args.overrides.hue=0.5"], 0.5):
        pipe = parser.instantiate(parser.parse_args([f"--config={config}", *arguments])).augment
        expected = {"xflip": 0, "rotate90": 0, "hue": hue, "scale_std": 0.1, "imgfilter_bands": [1, 1, 0, 0]}
        assert pipe.settings == resolve("bgc", expected)
