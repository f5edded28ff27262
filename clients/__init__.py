"""Makes the clients of other programs out of the description of the API."""
