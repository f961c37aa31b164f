"""The schema of the documents of a wedding, by kind.

`notes.{slug}` is a free-form document. Every other kind declares its roots, records and keys: see `README.md` beside
this file. Importing this package does not load pycrdt; `documents.rows`, which reads documents, does.
"""

from documents.kind import WHOLE, Kind, Root, Shape
from documents.registry import FAMILIES, KINDS, NAMES, is_document_name, kind_of

__all__ = ["FAMILIES", "KINDS", "NAMES", "WHOLE", "Kind", "Root", "Shape", "is_document_name", "kind_of"]
