from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from stylegan_v.metrics.motion.figures import Estimate, Row
from stylegan_v.metrics.motion.report import as_report, as_text, write_json

PROTOCOL = {"fake": "run", "real": "videos", "num_videos": 4, "num_frames": 32, "resolution": (16, 24)}
ROWS = {
    "jump": Row("knot jump", "1", Estimate(4.5678, 0.123), Estimate(1.0, math.nan)),
    "period": Row("period", "as real", Estimate(math.nan, math.nan), Estimate(12.0, 0.5)),
}


def report() -> dict[str, Any]:
    return as_report(PROTOCOL, ROWS, ["a note"], {"drift": {"x": [0.0, 1.0], "y": [math.inf, 2.0]}})


def test_text_is_an_aligned_table_with_notes() -> None:
    assert as_text(report()).splitlines() == [
        "Motion of 4 videos of 32 frames at 16x24: run beside videos",
        "",
        "                   fake       real  good",
        "knot jump  4.57 +- 0.12          1  1",
        "period                -  12 +- 0.5  as real",
        "",
        "+- is the standard deviation over videos drawn anew from these; real spectrum distance: of random halves",
        "a note",
    ]


def test_file_is_strict_json(tmp_path: Path) -> None:
    path = write_json(tmp_path, report())

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    found = json.loads(path.read_text(), parse_constant=refuse)
    assert found["figures"]["jump"]["fake"] == {"value": 4.5678, "spread": 0.123}
    assert found["figures"]["period"]["fake"] == {"value": None, "spread": None}
    assert found["curves"]["drift"]["y"] == [None, 2.0] and found["protocol"]["resolution"] == [16, 24]
    assert [path.name for path in tmp_path.iterdir()] == ["motion.json"]
