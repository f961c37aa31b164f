"""What may be written: the kinds of document and their rules. Pure functions; no I/O, clock or randomness."""
