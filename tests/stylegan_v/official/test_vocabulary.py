from __future__ import annotations

import re

from stylegan_v.official.machine import rebuild
from stylegan_v.official.vocabulary import LIMITS, VOCABULARY
from tests.stylegan_v.official.pickles import SAMPLE


def test_every_name_is_one_that_the_recorded_description_lists() -> None:
    """Its table has modules and names in code quotes; a related spelling lacks the first folder."""
    described = set(re.findall(r"`([\w.]+)`", SAMPLE.with_name("official_pickle_format.md").read_text()))
    for module, names in VOCABULARY.names.items():
        assert module in described or f"src.{module}" in described, module
        assert names <= described, names - described


def test_only_containers_take_items_and_mentioned_types_are_never_made() -> None:
    everything = frozenset().union(*VOCABULARY.names.values())
    assert VOCABULARY.mappings <= VOCABULARY.made <= everything
    assert everything - VOCABULARY.made == {"dict", "list", "int", "Any", "ndarray"}


def test_no_name_leads_anywhere_by_a_dot() -> None:
    assert not any("." in name for names in VOCABULARY.names.values() for name in names)


def test_the_sample_stays_far_below_the_limits() -> None:
    raw = SAMPLE.read_bytes()
    built = rebuild(raw, 0, len(raw), LIMITS, VOCABULARY)
    assert built.end == len(raw) < LIMITS.operations * 4
    assert len(built.records) * 10 < LIMITS.memo
