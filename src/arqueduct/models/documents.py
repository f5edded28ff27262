"""Documents, their bytes, passages and vectors."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, REGCONFIG, TSVECTOR
from sqlmodel import Field, SQLModel

from arqueduct.ids import new_id
from arqueduct.models.columns import EMPTY_OBJECT, moment, tenant

__all__ = ["Blob", "Chunk", "Deletion", "Document", "Embedding", "EmbeddingModelRow", "VectorHead"]


class Blob(SQLModel, table=True):
    """Bytes, kept once a tenant however many documents have them. Its id, not its hash, names it in storage."""

    __tablename__: ClassVar[str] = "blobs"
    __table_args__ = (
        UniqueConstraint("tenant_id", "sha256", name="blobs_tenant_id_sha256_key"),
        CheckConstraint("place IN ('hot', 'cold', 'removed')", name="place"),
        CheckConstraint(
            "(cold_size IS NOT NULL) = (place = 'cold') AND (place <> 'cold' OR copy IS NOT NULL)", name="cold"
        ),
        Index("blobs_tenant_id_id_idx", "tenant_id", "id"),
    )
    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant_id: UUID = Field(sa_column=tenant())
    sha256: str = Field(sa_column=Column(Text, nullable=False))
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    place: str = Field(default="hot", sa_column=Column(Text, nullable=False, server_default="hot"))
    """Where its bytes are: `hot`, `cold` (compressed, while only archived documents have it), `removed` by a policy."""
    copy_id: UUID | None = Field(default=None, sa_column=Column("copy", Uuid))
    """Names the file of the bytes; null: the one that came with the blob. A name given up never comes back."""
    cold_size: int | None = Field(default=None, sa_column=Column(BigInteger))
    """Bytes of the cold file."""
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))


class Document(SQLModel, table=True):
    """A named blob. Its status is the state of the job `job_id`, so the two cannot disagree; without one it is
    `uploaded`.
    """

    __tablename__: ClassVar[str] = "documents"
    __table_args__ = (
        Index("documents_tenant_id_id_idx", "tenant_id", "id"),
        Index("documents_blob_id_idx", "blob_id"),
        Index("documents_job_id_idx", "job_id"),
        Index("documents_deleted_idx", "id", postgresql_where=text("deleted_at IS NOT NULL")),
        Index("documents_archived_idx", "tenant_id", "id", postgresql_where=text("archived_at IS NOT NULL")),
        Index("documents_tenant_id_created_at_idx", "tenant_id", "created_at"),
    )
    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant_id: UUID = Field(sa_column=tenant())
    user_id: UUID = Field(sa_column=Column(ForeignKey("users.id"), nullable=False))
    blob_id: UUID = Field(sa_column=Column(ForeignKey("blobs.id"), nullable=False))
    job_id: UUID | None = Field(default=None)
    name: str = Field(sa_column=Column(Text, nullable=False))
    content_type: str = Field(sa_column=Column(Text, nullable=False))
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    sha256: str = Field(sa_column=Column(Text, nullable=False))
    title: str | None = Field(default=None, sa_column=Column(Text))
    language: str = Field(sa_column=Column(Text, nullable=False))
    facts: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column("metadata", JSONB, nullable=False, server_default=EMPTY_OBJECT)
    )
    pages: int | None = Field(default=None, sa_column=Column(Integer))
    characters: int | None = Field(default=None, sa_column=Column(BigInteger))
    chunks: int | None = Field(default=None, sa_column=Column(Integer))
    tokens: int | None = Field(default=None, sa_column=Column(BigInteger))
    """Of all its chunks."""
    text_recipe: str | None = Field(default=None, sa_column=Column(Text))
    """Which of the texts kept beside the blob is this document's; null until it is stored."""
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
    updated_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
    deleted_at: datetime | None = Field(default=None, sa_column=moment())
    """Set the moment a user deletes it: gone for every reader, while its parts are being removed."""
    archived_at: datetime | None = Field(default=None, sa_column=moment())
    """Since when it is put away: no search finds it, and its bytes may be cold."""
    original_removed_at: datetime | None = Field(default=None, sa_column=moment())
    """When a policy of retention took its bytes; text, passages and vectors stay."""


class Chunk(SQLModel, table=True):
    """A passage of a document. Its vectors are in `embeddings` under `text_hash`."""

    __tablename__: ClassVar[str] = "chunks"
    __table_args__ = (
        UniqueConstraint("document_id", "ordinal", name="chunks_document_id_ordinal_key"),
        Index("chunks_tenant_id_text_hash_idx", "tenant_id", "text_hash"),
        Index("chunks_tenant_id_tsv_idx", "tenant_id", "tsv", postgresql_using="gin"),
    )
    id: UUID = Field(default_factory=new_id, primary_key=True)
    tenant_id: UUID = Field(sa_column=tenant())
    document_id: UUID = Field(sa_column=Column(ForeignKey("documents.id", ondelete="CASCADE"), nullable=False))
    ordinal: int = Field(sa_column=Column(Integer, nullable=False))
    text: str = Field(sa_column=Column(Text, nullable=False))
    text_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    first_page: int = Field(sa_column=Column(Integer, nullable=False))
    last_page: int = Field(sa_column=Column(Integer, nullable=False))
    start: int = Field(sa_column=Column("start_offset", BigInteger, nullable=False))
    end: int = Field(sa_column=Column("end_offset", BigInteger, nullable=False))
    tokens: int = Field(sa_column=Column(Integer, nullable=False))
    heading: str | None = Field(default=None, sa_column=Column(Text))
    language: str = Field(sa_column=Column(REGCONFIG, nullable=False))
    tsv: str | None = Field(
        default=None, sa_column=Column(TSVECTOR, Computed("to_tsvector(language, text)", persisted=True))
    )


class EmbeddingModelRow(SQLModel, table=True):
    """A model whose vectors are stored; each has an HNSW index of its own. Not a tenant's."""

    __tablename__: ClassVar[str] = "embedding_models"
    id: int | None = Field(default=None, sa_column=Column(SmallInteger, Identity(always=True), primary_key=True))
    name: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    dimensions: int = Field(sa_column=Column(Integer, nullable=False))
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))


class Embedding(SQLModel, table=True):
    """The vector of a text under a model: bought once a tenant, whichever chunks have that text."""

    __tablename__: ClassVar[str] = "embeddings"
    __table_args__ = (
        Index("embeddings_bought_for_idx", "bought_for"),
        Index("embeddings_head_idx", "tenant_id", "model_id", postgresql_where=text("NOT indexed")),
        Index("embeddings_body_idx", "tenant_id", "model_id", postgresql_where=text("indexed")),
    )
    tenant_id: UUID = Field(
        sa_column=Column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    model_id: int = Field(
        sa_column=Column(SmallInteger, ForeignKey("embedding_models.id"), primary_key=True, nullable=False)
    )
    text_hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True, nullable=False))
    vector: Any = Field(sa_column=Column(HALFVEC(), nullable=False))
    bought_for: UUID = Field(nullable=False)
    """The document that first needed it: its deletion removes the vector unless another has the text too."""
    indexed: bool | None = Field(
        default=None, sa_column=Column(Boolean, nullable=False, server_default=text("vector_head_is_full()"))
    )
    """Whether the HNSW index has it. If not, it is in the head, which every search compares one by one."""


class VectorHead(SQLModel, table=True):
    """What is known of the vectors outside of the indexes, of all tenants and models: one row."""

    __tablename__: ClassVar[str] = "vector_head"
    __table_args__ = (CheckConstraint("id", name="one_row"),)
    id: bool = Field(
        default=True, sa_column=Column(Boolean, primary_key=True, nullable=False, server_default=text("true"))
    )
    vectors: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default="0"))
    """When they were counted last."""
    is_full: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=text("false")))
    """New vectors go into the index at once."""
    counted_at: datetime | None = Field(default=None, sa_column=moment())


class Deletion(SQLModel, table=True):
    """What a deleted document may have left outside its rows; looked at once more after every zombie is fenced."""

    __tablename__: ClassVar[str] = "deletions"
    document_id: UUID = Field(primary_key=True)
    tenant_id: UUID = Field(sa_column=tenant())
    prefix: str | None = Field(default=None, sa_column=Column(Text))
    created_at: datetime | None = Field(default=None, sa_column=moment(nullable=False))
