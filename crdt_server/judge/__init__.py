"""The program of a document host: documents, schema rules, concurrency, findings and their resolution."""
