"""The builder: what the model says, as a response and its events; knows nothing of the judge."""
