"""Every room of the process: opening, committing, scheduled work, commands and HTTP sync, on one event loop."""
