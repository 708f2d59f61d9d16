"""Tools of jobs."""
