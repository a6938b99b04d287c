"""The command ``python -m stylegan_v.metrics.detectors``.

Heavy packages are imported where they are used, so that `--help` answers at once.
"""

from collections.abc import Sequence

from jsonargparse import auto_cli

from command_line import Parser
from errors import clear_errors

_DESCRIPTION = """The feature networks of the metrics: what each is, whether its file of weights is there, and where to
get it. Nothing is downloaded unless --download asks for it."""


def show_detectors(download: str | None = None, cache_dir: str | None = None) -> str:
    """Prints the table of feature networks, or fetches the file of one.

    Args:
        download: Name of the network whose file is fetched; None: the table is printed.
        cache_dir: Folder of the files. None: stylegan_v/weights in $XDG_CACHE_HOME or ~/.cache.
    """
    from stylegan_v.metrics.detectors.table import describe_table, fetch

    if download is None:
        return describe_table(cache_dir)
    located = fetch(download, cache_dir)
    return f"{located.path}\nsha256 {located.sha256}\n"


def main(args: Sequence[str] | None = None) -> None:
    """The command: flags only."""
    with clear_errors("detectors"):
        text = auto_cli(
            show_detectors,
            args=args,
            parser_class=Parser,
            prog="python -m stylegan_v.metrics.detectors",
            as_positional=False,
            description=_DESCRIPTION,
        )
        print(text, end="")


if __name__ == "__main__":
    main()
