"""Pages that people read: the report with its curves, and the sheet that is printed."""
