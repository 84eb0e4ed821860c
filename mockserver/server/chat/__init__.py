"""Chat Completions at the same door: asked in its words, answered by the same stubs, exchanges and texts.

- `door`: the endpoint, beside the hot one of Responses
- `engine`: a request becomes its Responses form, what answers that becomes a completion
- `scripts`: answers of other kinds than scripts, as what they say
- `history`: which turn a conversation is at, told by its messages
- `words`: refusals as this API words them
- `faults`: which of the faults it has, and its own rules broken by name
"""
