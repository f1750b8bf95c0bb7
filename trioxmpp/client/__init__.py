"""Clients: connected while a block runs, and connected again when the link breaks."""
