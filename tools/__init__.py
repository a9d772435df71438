"""Tools of the repository; nothing of this is shipped."""
