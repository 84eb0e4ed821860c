"""The server: requests in, replies out."""
