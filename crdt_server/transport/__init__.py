"""The transports that carry bytes between a client and its room (picows, plain ASGI), and the gate before the rooms."""
