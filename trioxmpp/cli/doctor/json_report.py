"""The findings as JSON. Its shape is described in docs/doctor.md."""

from __future__ import annotations

import dataclasses
import json

from .advice import advice
from .findings import VERSION, Diagnosis

__all__ = ["as_json"]


def as_json(diagnosis: Diagnosis) -> str:
    """Return one object, in ASCII, without control characters."""
    findings = {
        "version": VERSION,
        **dataclasses.asdict(diagnosis),
        "advice": [dataclasses.asdict(each) for each in advice(diagnosis)],
        "ok": diagnosis.ok,
    }
    return json.dumps(findings, indent=2).replace("\x7f", "\\u007f")
