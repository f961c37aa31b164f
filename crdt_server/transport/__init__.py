"""What carries bytes between a client and its room: the fast WebSocket lane and the plain ASGI one."""
