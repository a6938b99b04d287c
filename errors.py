"""What a user can mend: one exception type and how a command reports it.

Every room may import this file; it imports nothing of the project.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_MENDABLE = {
    errno.ENOSPC: "the disk is full: free some space or write elsewhere",
    errno.EDQUOT: "the disk quota is used up: free some space or write elsewhere",
    errno.EACCES: "no permission: choose a folder you may use",
    errno.EROFS: "the file system is read-only: choose another folder",
    errno.EPERM: "not permitted: choose another folder",
    errno.EEXIST: "a file stands where a folder is needed: choose another path",
    errno.ENOTDIR: "a part of the path is a file, not a folder: choose another path",
}


class InputError(ValueError):
    """Something the user gave cannot be used; the message names the file or key and the remedy, in one line."""


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


@contextmanager
def clear_errors(program: str) -> Iterator[None]:
    """Turns an `InputError`, or an operating-system error a user can mend, into one line on stderr and exit code 2."""
    try:
        yield
    except InputError as error:
        print(f"{program}: error: {_one_line(error)}", file=sys.stderr)
        raise SystemExit(2) from error
    except OSError as error:
        if error.errno not in _MENDABLE:
            raise
        print(f"{program}: error: {error.filename or 'output'}: {_MENDABLE[error.errno]}", file=sys.stderr)
        raise SystemExit(2) from error
