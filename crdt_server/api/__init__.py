"""HTTP: one thin file per resource. Parse, authorize, call, render."""
