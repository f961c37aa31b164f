"""Reproducible measurements of this server beside its peers; see README.md."""
