"""Support for tests of API clients: the pytest plugin, `MockServer`, strategies and fuzzing."""
