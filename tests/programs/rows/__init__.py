"""The rows of the table."""

from rows import nested, pipelines, programs, shells

ROWS = shells.ROWS + pipelines.ROWS + nested.ROWS + programs.ROWS
assert len({row.name for row in ROWS}) == len(ROWS), "two rows of one name"
