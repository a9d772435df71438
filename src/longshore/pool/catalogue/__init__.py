"""What the database knows about the names in a statement: what is read, written and called."""
