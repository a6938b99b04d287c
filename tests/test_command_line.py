from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from command_line import one_line

# Reports of jsonargparse 4.53, as they come.
UNKNOWN_IN_A_NESTED_CLASS = """Parser key "model":
  Does not validate against any of the Union subtypes
  Subtypes: [<class 'pytorch_lightning.core.module.LightningModule'>, <class 'NoneType'>]
  Errors:
    - Problem with given class_path 'stylegan_v.gan.VideoGAN':
        Parser key "generator":
          Problem with given class_path 'stylegan_v.networks.Generator':
            Parser key "motion":
              Does not validate against any of the Union subtypes
              Subtypes: [<class 'stylegan_v.networks.motion.MotionEncoder'>, <class 'NoneType'>]
              Errors:
                - Import path stylegan_v.networks.LSTMMotion does not correspond to a subclass of MotionEncoder
                - Problem with given class_path 'stylegan_v.networks.LSTMMotion':
                    Option 'z_dimm' is not accepted
                - Expected a <class 'NoneType'>
              Given value type: <class 'dict'>
              Given value: {'class_path': 'stylegan_v.networks.LSTMMotion', 'init_args': {'z_dimm': 4}}
    - Expected a <class 'NoneType'>
  Given value type: <class 'dict'>
  Given value: {'class_path': 'stylegan_v.gan.VideoGAN', 'init_args': {}}"""
WRONG_TYPE = """Parser key "data":
  Does not validate against any of the Union subtypes
  Subtypes: [<class 'pytorch_lightning.core.datamodule.LightningDataModule'>, <class 'NoneType'>]
  Errors:
    - Problem with given class_path 'datasets.datamodule.VideoFolder':
        Parser key "batch_size":
          Expected a <class 'int'>. Got value: x
    - Expected a <class 'NoneType'>
  Given value type: <class 'dict'>
  Given value: {'class_path': 'datasets.datamodule.VideoFolder'}"""
NEITHER_TYPE = """Parser key "model":
  Problem with given class_path 'stylegan_v.networks.Generator':
    Parser key "resolution":
      Does not validate against any of the Union subtypes
      Subtypes: [<class 'int'>, tuple[int, int]]
      Errors:
        - Expected a <class 'int'>
        - Expected a <class 'tuple'>
      Given value type: <class 'str'>
      Given value: abc"""
NO_SUCH_CLASS = """Parser key "model":
  Does not validate against any of the Union subtypes
  Subtypes: [<class 'pytorch_lightning.core.module.LightningModule'>, <class 'NoneType'>]
  Errors:
    - Problem with given class_path 'stylegan_v.gan.VideoGANN':
        module 'stylegan_v.gan' has no attribute 'VideoGANN'
    - Expected a <class 'NoneType'>
  Given value type: <class 'dict'>
  Given value: {'class_path': 'stylegan_v.gan.VideoGANN'}"""
NO_SUCH_FILE = """Parser key "data":

  - Expected a path but nodata either not accessible or invalid
  - Does not validate against any of the Union subtypes
  Subtypes: [<class 'pytorch_lightning.core.datamodule.LightningDataModule'>, <class 'NoneType'>]
  Errors:
    - Expected a dot import path string: nodata
    - Expected a <class 'NoneType'>
  Given value type: <class 'str'>
  Given value: nodata"""


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (
            UNKNOWN_IN_A_NESTED_CLASS,
            "model.generator.motion.z_dimm: no such option of stylegan_v.networks.LSTMMotion: did you mean z_dim?",
        ),
        (WRONG_TYPE, "data.batch_size: Expected a int. Got value: x"),
        (NEITHER_TYPE, "model.resolution: Expected a int or Expected a tuple. Got value: abc"),
        (NO_SUCH_CLASS, "model: module 'stylegan_v.gan' has no attribute 'VideoGANN'"),
        (
            NO_SUCH_FILE,
            "data: Expected a path but nodata either not accessible or invalid or Expected a dot import path string: "
            "nodata. Got value: nodata",
        ),
        (
            "Subcommand 'fit' does not accept option 'trainer.max_stps'",
            "trainer.max_stps: no such option: did you mean trainer.max_steps?",
        ),
        ("Subcommand 'fit' does not accept option 'dta.root'", "dta.root: no such option: did you mean data?"),
        ("unrecognized arguments: --run_nam x", "run_nam: no such option: did you mean run_name?"),
        ("Unrecognized arguments: --qqq", "qqq: no such option: see --help"),
        ("the following arguments are required: fit.model", "the following arguments are required: fit.model"),
        ("a\n  b\n    c", "a b c"),
    ],
)
def test_one_line(report: str, expected: str) -> None:
    options = ["trainer.max_steps", "trainer.max_epochs", "data", "model", "run_name"]
    assert one_line(report, options) == expected


def test_a_long_report_is_cut() -> None:
    short = one_line("x" * 1000)
    assert len(short) == 300
    assert short.endswith("x...")


TINY = str(Path(__file__).parents[1] / "configs" / "stylegan_v" / "tiny.yaml")


@pytest.mark.parametrize(
    ("command", "arguments", "expected"),
    [
        ("train", ["fit", "--conf", TINY], "train.py: error: conf: no such option: did you mean config?"),
        ("generate", ["sample", "--ck", "run"], "generate.py: error: ck: no such option: did you mean ckpt?"),
        ("generate", ["sample", "--ckpt=run", "--gri"], "generate.py: error: gri: no such option: did you mean grid?"),
        (
            "datasets.prepare",
            ["src", "dst", "--resolut", "64"],
            "prepare: error: resolut: no such option: did you mean resolution?",
        ),
        ("datasets.prepare", ["src"], "prepare: error: the following arguments are required: dst"),
        (
            "datasets.prepare",
            ["src", "dst", "--workers", "many"],
            "prepare: error: workers: Expected a int. Got value: many",
        ),
        (
            "datasets.real_tiny",
            ["dst", "--min_frame=3"],
            "real_tiny: error: min_frame: no such option: did you mean min_frames?",
        ),
        (
            "stylegan_v.preview",
            ["--config", TINY, "--num_cl", "2"],
            "preview: error: num_cl: no such option: did you mean num_clips?",
        ),
        (
            "stylegan_v.metrics.demo_report",
            ["run", "--num_clip", "4"],
            "demo_report: error: num_clip: no such option: did you mean num_clips?",
        ),
    ],
)
def test_commands_take_no_shortened_flag_and_say_so_in_one_line(
    command: str,
    arguments: list[str],
    expected: str,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(sys, "argv", [command])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(command).main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err == expected + "\n"
    assert list(tmp_path.iterdir()) == []
