"""Cases for clients: what a server answers, what a sound client does with it, and what broke otherwise."""
