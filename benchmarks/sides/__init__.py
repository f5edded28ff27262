"""What is compared: each module carries the documents of a list to Postgres, each in its own way.

They run as `python -m benchmarks.sides.NAME`, some in an environment of their own: nothing is imported here, and
none of them but `ours` may import the product.
"""
