from __future__ import annotations

import pytest

from stylegan_v.config_errors import one_line

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
