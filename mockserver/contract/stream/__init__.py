"""Checks of event streams: framing, then the sequence of events, then items and their texts.

Modules import downward in this order: framing, event_sequence, items, item_events, texts.
"""
