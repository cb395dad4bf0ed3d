"""The rows of the table."""

from rows import nested, pipelines, shells

ROWS = shells.ROWS + pipelines.ROWS + nested.ROWS
assert len({row.name for row in ROWS}) == len(ROWS), "two rows of one name"
