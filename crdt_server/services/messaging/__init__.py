"""What people are told, and by which channel: routing of events, delivery, preferences."""
