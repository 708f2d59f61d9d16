"""Each kind of job."""
