"""Records per privacy unit: how many records one person holds, and how far that can be trusted."""

from audit.users.counts import count_units as count_units
