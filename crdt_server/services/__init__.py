"""What people do besides editing documents: one service for each subject, behind the routes of `api`."""
