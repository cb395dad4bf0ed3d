"""The rows of the table."""

from rows import shells

ROWS = shells.ROWS
assert len({row.name for row in ROWS}) == len(ROWS), "two rows of one name"
