"""Fuzzing of clients: cases are drawn, played to a client, shrunk, and their cause is found."""
