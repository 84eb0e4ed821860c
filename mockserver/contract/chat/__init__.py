"""Chat Completions, as far as those need it who come from there: its judge, and its way to Responses.

- `check`: the four functions that everything else calls
- `requests`, `completions`, `stream`, `frames`: the rules, as those next door have them for Responses
- `schemas`: the shapes, `schemas/chat`; one set for all ages, for what is used here did not change
- `migration`: the Responses form of a chat request, and what of it has none
"""
