"""The judge: what the contract says of every byte, in either direction; knows nothing of the builder."""
