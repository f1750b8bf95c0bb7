"""Sessions that outlive the process: what is written down of one, and where."""
