"""Trains what a config names: ``python train.py fit --config configs/stylegan_v/demo.yaml --data.root ~/videos``."""

from __future__ import annotations

import torchvision_guard  # noqa: F401  (before Lightning)

# isort: split
from errors import clear_errors


def main(args: list[str] | None = None) -> None:
    """The command line; ``args`` stand in for it in tests."""
    with clear_errors("train.py"):
        from stylegan_v.runs import RunCLI

        RunCLI(args=args)


if __name__ == "__main__":
    main()
