"""Reads released code as text and syntax trees; nothing of it is imported or run."""
