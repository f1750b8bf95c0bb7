"""The tallies at the end, as text for a person."""

from __future__ import annotations

from ..output import Output
from .ledger import Ledger

__all__ = ["report"]


def report(ledger: Ledger, output: Output) -> None:
    """Print the summary."""
    output.text()
    output.table(
        ("messages", "sent", "received", "lost", "doubled", "in order"),
        [
            (
                f"{direction.sender} -> {direction.recipient}",
                str(direction.sent),
                str(direction.received),
                str(len(direction.lost)),
                str(len(direction.doubled)),
                "yes" if direction.in_order else "no",
            )
            for direction in ledger.directions
        ],
    )
    output.text()
    output.table(
        ("cut", "noticed after", "resumed after"),
        [(outage.name, _seconds(outage.time_to_notice), _seconds(outage.time_to_resume)) for outage in ledger.outages],
    )
    output.text()
    states = ", ".join(f"{count} {state.name}" for state, count in ledger.states().most_common())
    output.text(f"Final states: {states or 'nothing was sent'}. ACKED means that the server has confirmed it.")
    resumptions, cuts = _counted(ledger.resumptions, "resumption"), _counted(ledger.cuts, "cut")
    verdict = f"{ledger.lost} lost, {ledger.doubled} doubled, {resumptions} after {cuts}"
    if ledger.failure is not None:
        verdict += f"; ended early: {ledger.failure}"
    output.text(verdict, "good" if ledger.ok else "bad")


def _seconds(duration: float | None) -> str:
    return "never" if duration is None else f"{duration:.2f} s"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
