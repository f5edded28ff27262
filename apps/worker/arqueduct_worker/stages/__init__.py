"""The stages of `document.ingest`, a file each, named by its verb."""
