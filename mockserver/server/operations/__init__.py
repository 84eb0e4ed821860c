"""The operations beside creating a response: stored responses, conversations, models and compaction."""
