"""One module a resource; `main` puts the prefix before the paths of each `router`."""
