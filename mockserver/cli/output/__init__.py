"""Reports and summaries that the commands write: text, JSON, GitHub annotations, JUnit and HTML.

`mockserver check` imports this package without click, so nothing heavy is loaded at module level.
"""
