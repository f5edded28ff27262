"""Where blobs live: one small contract over local disk, S3, Google Cloud Storage, Azure and memory."""

from arqueduct.storage.store import Storage, StoredFile

__all__ = ["Storage", "StoredFile"]
