"""Recordings: exchanges as they crossed the wire, taken, kept, played, asked again and compared."""
