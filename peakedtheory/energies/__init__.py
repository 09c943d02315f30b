"""What an energy law is, and how one is read."""
