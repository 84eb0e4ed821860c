"""What downstream tests use."""
