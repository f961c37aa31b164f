"""Files that people send along with messages: where their bytes rest, what they are, and how they are called."""
