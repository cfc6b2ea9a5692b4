"""Every published vector, checked by the production code, one test for each (IDX1 13)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from node.cli.vector_checks import SECTIONS, Check, VectorFile

VECTORS = Path(__file__).parent / "vectors" / "idx1.json"
FILE = VectorFile(json.loads(VECTORS.read_bytes()))
CHECKS = [check for section in SECTIONS.values() for check in section(FILE)]


@pytest.mark.parametrize("check", [pytest.param(check, id=check.name) for check in CHECKS])
def test_vector(check: Check) -> None:
    check.run()


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_of_the_schema_is_there(section: str) -> None:
    assert list(SECTIONS[section](FILE)) != []
