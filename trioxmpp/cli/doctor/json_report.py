"""The findings, for machines: ``--json``. Its shape is told in docs/doctor.md."""

from __future__ import annotations

import dataclasses
import json

from .advice import advice
from .findings import VERSION, Diagnosis

__all__ = ["as_json"]


def as_json(diagnosis: Diagnosis) -> str:
    """One object. All of it is ASCII, and nothing in it moves a cursor."""
    findings = {
        "version": VERSION,
        **dataclasses.asdict(diagnosis),
        "advice": [dataclasses.asdict(each) for each in advice(diagnosis)],
        "ok": diagnosis.ok,
    }
    return json.dumps(findings, indent=2).replace("\x7f", "\\u007f")
