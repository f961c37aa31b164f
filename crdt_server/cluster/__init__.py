"""Several nodes, one judge per document: who owns a wedding, and how the others reach its owner."""
