"""The `vns` command: what an operator does by hand."""
