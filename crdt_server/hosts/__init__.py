"""Dispatchers and supervisors of document hosts, the only processes that hold a pycrdt ``Doc``. Their program is
`judge`."""
