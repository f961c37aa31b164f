"""Everything besides the editing of documents: one service for each subject, behind the routes of `api`."""
