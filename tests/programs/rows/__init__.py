"""The rows of the table."""

from rows import nested, pipelines, programs, shells, stops

ROWS = shells.ROWS + pipelines.ROWS + nested.ROWS + programs.ROWS + stops.ROWS
assert len({row.name for row in ROWS}) == len(ROWS), "two rows of one name"
