"""Several nodes with one database: each wedding has one owner, and every node reaches it."""
