"""What the plugin does in a test run: settings, the servers of a test, its verdict, the run's report.

`options` is loaded with the plugin, the rest when a test uses one of its fixtures.
"""
