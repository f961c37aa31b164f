"""Rooms: documents in use, with their sessions, the requests that wait, and the replies."""
