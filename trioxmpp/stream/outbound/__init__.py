"""The way out: tokens, the channels that the writer takes from, and the writer."""
