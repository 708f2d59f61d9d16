"""What a job works with beside models: programs run confined, a corpus to search, the web to look things up in."""
