"""Write like a text: characters or bytes, one after the other."""
