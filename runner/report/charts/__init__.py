"""Pictures of a run: each one definition, from which the file beside the report and the page are made."""
