"""Trains what a config names: ``python train.py fit --config configs/stylegan_v/demo.yaml --data.root ~/videos``."""

from __future__ import annotations

import sys

import torchvision_guard  # noqa: F401  (before Lightning)

# isort: split
from errors import clear_errors


def main(args: list[str] | None = None) -> None:
    """The command line; ``args`` stand in for it in tests."""
    try:
        with clear_errors("train.py"):
            from stylegan_v.runs import RunCLI

            RunCLI(args=args)
    except KeyboardInterrupt:  # before the first update; from there on the run ends itself
        print("train.py: stopped; nothing was saved", file=sys.stderr)
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
