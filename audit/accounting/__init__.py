"""Mechanisms priced in epsilon: events in, brackets out. Computes; never judges, never prints."""
