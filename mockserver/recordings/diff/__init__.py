"""What changed in the contract between two recordings, two reports or two profiles: never the texts."""
