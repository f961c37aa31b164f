"""`notes.{slug}`: free-form documents: any root type, any editor binding, no schema."""

from __future__ import annotations

from documents.kind import Kind

KIND = Kind("notes", "Free-form: any root type, any editor binding.", (), one=False, many=True, free=True)
