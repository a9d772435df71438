"""Who has which server connection."""
