"""One module a resource; each has a `router` whose paths are whole."""
