from __future__ import annotations

import os
import threading

from datasets.open_files import OpenFiles


def test_the_handle_unused_for_longest_is_let_go() -> None:
    files: OpenFiles[str] = OpenFiles(2)
    opened = []

    def get(key: str) -> str:
        return files.get(key, lambda: opened.append(key) or key.upper())

    assert [get(key) for key in "abacab"] == list("ABACAB")
    assert opened == list("abcb")  # c pushed out b, then b pushed out c
    assert len(files) == 2
    files.drop("a")
    files.drop("never there")
    assert len(files) == 1


def test_a_thread_sees_no_handle_of_another() -> None:
    files: OpenFiles[object] = OpenFiles(3)
    mine, theirs = files.get("a", object), []
    thread = threading.Thread(target=lambda: theirs.append(files.get("a", object)))
    thread.start()
    thread.join()
    assert theirs[0] is not mine
    assert files.get("a", object) is mine


def test_a_child_leaves_inherited_handles_alone() -> None:
    """Closing a decoder in a child that did not open it hangs."""

    class Handle:
        def __del__(self) -> None:
            if os.getpid() != parent:
                os.write(pipe[1], b"closed")

    parent, pipe = os.getpid(), os.pipe()
    files: OpenFiles[object] = OpenFiles(1)
    files.get("a", Handle)
    child = os.fork()
    if child == 0:
        files.get("b", object)
        files.get("c", object)
        os._exit(len(files))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert len(files) == 1
    os.close(pipe[1])
    assert os.read(pipe[0], 9) == b""
