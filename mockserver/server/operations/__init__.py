"""The operations beside creating a response: stored responses, conversations, models and compaction.

Each is a function from a request to a JSON value; `handlers` sends it. This package may import `http`,
`state` and `delivery`.
"""
