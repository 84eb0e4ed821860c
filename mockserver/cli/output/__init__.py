"""The reports and summaries of the commands: text, JSON, GitHub annotations, JUnit and HTML.

`mockserver check` starts without click, so these modules import nothing heavy.
"""
