"""Checks Chat Completions, for users who migrate from there, and converts its requests to Responses.

- `check`: the four functions that the other packages call
- `requests`, `completions`, `stream`: the rules
- `service`: the paths, models and schemas; one set for all profiles, because what is checked did not change
- `migration`: converts a chat request to a Responses request, and lists what has no counterpart
"""
