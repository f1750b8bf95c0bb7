"""Fast and repeatable tests: links in memory, planned faults, virtual time, cancellation at each step."""
