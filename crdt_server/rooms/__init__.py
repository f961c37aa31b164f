"""Rooms: the live side of documents. Who is in, what they sent, what they are owed."""
