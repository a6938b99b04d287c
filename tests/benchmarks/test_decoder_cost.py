from __future__ import annotations

import json

import pytest

from benchmarks import decoder_cost
from benchmarks.decoder_cost import Row, kept, rows, table


@pytest.fixture(scope="module")
def found() -> list[Row]:
    return rows(["ConvField", "PointField"], 256, batch=1, frames=3, repeats=0)


@pytest.mark.slow
def test_conv_field_keeps_to_its_bounds_at_full_width(found: list[Row]) -> None:
    row = {row.kind: row for row in found}["ConvField"]
    assert 1 < row.update_count <= 1.10 and 1 < row.twice_count <= 1.6
    assert kept(found)


@pytest.mark.slow
def test_the_count_is_that_of_the_layers(found: list[Row]) -> None:
    """3x3 of all features, 3x3 on the frame and a pixel around it, 3x3 on the frame: by hand, in multiply-adds."""
    none, conv = found[0], found[1]
    for size, num_strips, counted in ((256, 2, conv.native_gigamacs), (512, 8, conv.twice_gigamacs)):
        rows = size + 2 * num_strips  # strips have their own rows around them
        by_hand = 9 * (128 * 64 * 128**2 + 64 * 32 * (size + 2) * rows + 32 * 3 * size**2)
        assert counted - none.native_gigamacs == pytest.approx(by_hand / 1e9, rel=1e-6)
    assert conv.parameters == 9 * 128 * 64 + 64 + 4 * 64 + 9 * 64 * 32 + 32 + 9 * 32 * 3 + 3


def test_a_decoder_that_exceeds_a_bound_is_told() -> None:
    assert not kept([Row("ConvField", 1, 2.0, 1.0, 1.5, 1.11, 1.2, 1.5)])
    assert not kept([Row("ConvField", 1, 2.0, 1.0, 1.5, 1.0, 1.2, 1.7)])
    assert kept([Row("NVPField", 1, 2.0, 1.0, 1.5, 1.2, 1.2, 2.5)])


@pytest.mark.slow
def test_the_command_measures_small_networks(capsys: pytest.CaptureFixture) -> None:
    small = ["--resolution", "32", "--channel_base", "256", "--repeats", "1", "--frames", "2"]
    decoder_cost.main([*small, "--kinds", "[NVPField]"])
    said = capsys.readouterr()
    made = json.loads(said.out)["rows"]
    assert [row["kind"] for row in made] == ["none", "NVPField"]
    assert all(row["update_seconds"] > 0 for row in made) and made[0]["update_seconds"] == 1
    assert "NVPField" in said.err


def test_other_names_are_refused(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as end:
        decoder_cost.main(["--kinds", "[LIIF]"])
    assert end.value.code == 2 and "kinds ['LIIF']" in capsys.readouterr().err


def test_the_table_has_a_line_for_each() -> None:
    found = [Row("none", 0, 2.0, 1.0, None, 1.0, 1.0, None), Row("ConvField", 9, 2.2, 1.2, 1.5, 1.1, 1.2, 1.5)]
    lines = [line.split() for line in table(found).splitlines()[2:]]
    assert lines[0] == ["none", "0", "2.000", "1.000", "-", "1.000", "1.000", *["-"] * 4]
    assert lines[1][:8] == ["ConvField", "9", "2.200", "1.200", "1.500", "1.100", "1.200", "1.500"]
