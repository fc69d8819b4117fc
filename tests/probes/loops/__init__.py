"""Small training loops for the probes: sound ones, and ones with a single planted defect each.

They were written from docs/probes.md alone, before looking at any probe.
"""
