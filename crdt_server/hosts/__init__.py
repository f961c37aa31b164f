"""Document hosts: the only processes that ever hold a pycrdt ``Doc``, and the code that keeps them alive."""
