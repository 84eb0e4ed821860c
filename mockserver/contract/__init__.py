"""Check bytes that cross the wire, in either direction, against a profile's contract.

Nothing here builds a reply, and nothing here may import `mockserver.replies`: a mistake in one is found by
the other.
"""
