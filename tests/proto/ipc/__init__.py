"""What host and worker say to each other."""
