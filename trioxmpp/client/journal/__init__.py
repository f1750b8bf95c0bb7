"""Things that outlive the process: durable messages, and the session while it lives, written into a store."""
