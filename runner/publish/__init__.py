"""Posts the results of a run as a comment on its pull request."""
