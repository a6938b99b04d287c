"""The model hub: which files of a repository are fetched, and what is said when that fails.

The packages that talk to the network are imported where they are used: whoever reads local files never loads them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from errors import InputError
from stylegan_v.weights import CONFIG, GENERATOR

FETCHED = (GENERATOR, CONFIG)
_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
_SUFFIXES_OF_FILES = (".ckpt", ".safetensors", ".pkl", ".yaml")


def is_hub_id(name: str | os.PathLike[str]) -> bool:
    """Whether ``name`` may be a repository, ``user/name``, rather than a path."""
    return bool(_NAME.fullmatch(os.fspath(name))) and not os.fspath(name).endswith(_SUFFIXES_OF_FILES)


def download(
    repo_id: str,
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
    token: str | bool | None = None,
) -> Path:
    """The folder, in the hub's cache, of a repository's weights and config; nothing else of it is fetched.

    Args:
        repo_id: ``user/name``.
        revision: A branch, tag or commit; None: the newest.
        cache_dir: Where downloads are kept; None: the hub's own choice.
        local_files_only: Whether to take what was downloaded before, without asking the hub.
        force_download: Whether to fetch the files again.
        token: Of a private repository; None: that of ``hf auth login``.

    Raises:
        InputError: There is no such repository or revision, it holds no model of this project, or the hub cannot be
            reached.
    """
    from huggingface_hub import snapshot_download

    with clear_hub_errors(repo_id, revision):
        folder = snapshot_download(
            repo_id,
            revision=revision,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            force_download=force_download,
            token=token,
            allow_patterns=list(FETCHED),
        )
    for name in FETCHED:
        if not (Path(folder) / name).is_file():
            raise InputError(f"{repo_id}: has no {name}: give a repository that PretrainedGenerator.push_to_hub filled")
    return Path(folder)


@contextmanager
def clear_hub_errors(repo_id: str, revision: str | None = None) -> Iterator[None]:
    """Says in one line what a user can do about an answer of the hub, or about none."""
    from huggingface_hub import errors

    no_answer = errors.HfHubHTTPError.__bases__[0]  # of the HTTP package, which differs between releases of the hub
    try:
        yield
    except errors.HFValidationError as error:
        raise InputError(f"{repo_id}: no name of a repository: give user/name") from error
    except errors.LocalTokenNotFoundError as error:
        raise InputError(f"{repo_id}: the hub does not know you: log in with hf auth login, or give a token") from error
    except errors.GatedRepoError as error:
        raise InputError(f"{repo_id}: its owner must let you in: ask on its page, then hf auth login") from error
    except errors.RevisionNotFoundError as error:
        raise InputError(f"{repo_id}: has no revision {revision}: give a branch, tag or commit of it") from error
    except errors.RepositoryNotFoundError as error:
        raise InputError(f"{repo_id}: no such folder here, and the hub shows you no such repository") from error
    except errors.HfHubHTTPError as error:
        raise InputError(f"{repo_id}: the hub refuses: {' '.join(str(error).split())}") from error
    except errors.LocalEntryNotFoundError as error:
        reason = "no such folder here, none downloaded before, and the hub is out of reach: go online"
        raise InputError(f"{repo_id}: {reason}") from error
    except (ConnectionError, no_answer) as error:
        raise InputError(f"{repo_id}: the hub is out of reach: go online") from error
