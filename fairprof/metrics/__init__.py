"""Numbers about predictions tables: how good they are, and how even between groups."""
