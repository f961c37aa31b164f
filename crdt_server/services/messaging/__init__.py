"""Messages to people: routing of events, delivery on each channel, preferences."""
