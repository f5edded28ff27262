"""Arqueduct beside what a user would take instead: same documents, extractor, embeddings API and Postgres, one run.

`python -m benchmarks` says how it is used, README.md what is measured and how.
"""
