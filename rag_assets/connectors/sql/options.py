"""The options of a SQL source, as they stand in its YAML."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from rag_assets.connectors.fields import AbsolutePath, Host, MetadataName, Model, absolute_path
from rag_assets.connectors.kind import Opened, SourceOptions
from rag_core.content.sources import SecretRef

# No shape is demanded of names here: a name counts when the catalogue of the database has it, whatever its characters.
Name = Annotated[str, Field(min_length=1, max_length=256)]
SQL_PORTS = {"postgresql": 5432, "mysql": 3306}


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class ServerDatabase(Model):
    """A PostgreSQL or MySQL database. Parts instead of a URL, so that no option can be smuggled in."""

    driver: Literal["postgresql", "mysql"]
    host: Host = Field(description="Name or address; a socket path is refused.")
    port: int | None = Field(None, ge=1, le=65535, description="Default 5432 or 3306.")
    name: Name = Field(description="Name of the database.")
    user: Name = Field(description="A role that may only read.")
    password: SecretRef | None = Field(None, description="Where its password is.")
    tls: Literal["verify", "require", "off"] | None = Field(
        None, description="Default `verify`, and `off` on loopback, the only place where `off` is allowed."
    )
    ca_file: AbsolutePath | None = Field(
        None, description="Certificate authorities that `verify` trusts. Default: the system's."
    )


class SqliteDatabase(Model):
    """A SQLite file, opened for reading only."""

    driver: Literal["sqlite"]
    path: Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(absolute_path)] = Field(
        description="Absolute path of the file."
    )


class AclColumn(Model):
    """The ACL of a row from a column: an array, a JSON list, or text with a separator."""

    column: Name
    separator: Annotated[str, Field(min_length=1, max_length=4)] = Field(",", description="Between entries in text.")
    prefix: Literal["user:", "group:"] | None = Field(None, description="Put before entries that have none.")


class SqlOptions(SourceOptions):
    """One document per row."""

    counts_in_preview: ClassVar[bool] = True

    kind: Literal["sql"]
    database: Annotated[ServerDatabase | SqliteDatabase, Field(discriminator="driver")]
    table: Name | None = Field(None, description="Table or view, also as `schema.table`.")
    query: Annotated[str, Field(min_length=1, max_length=20_000)] | None = Field(
        None, description="Instead of a table: one SELECT. It runs inside the platform's own statements."
    )
    key: Annotated[list[Name], BeforeValidator(_as_list), Field(min_length=1, max_length=8)] = Field(
        description="Column or columns that name a row; unique and never null."
    )
    updated_at: Name = Field(description="Column that grows when anything of the row changes: a time or an integer.")
    content: Annotated[list[Name], BeforeValidator(_as_list), Field(min_length=1, max_length=16)] = Field(
        description="Column or columns of the text; several are joined by an empty line. A binary column stands alone."
    )
    title: Name | None = Field(None, description="Column of the title.")
    media_type: Annotated[str, StringConstraints(pattern=r"^[a-z]+/[a-z0-9.+-]{1,100}$")] = Field(
        "text/plain", description="What the text is: text/plain, text/markdown, text/html. Binary content is detected."
    )
    deleted: Name | None = Field(
        None, description="Soft-delete column: the row is deleted when it is neither null, false, 0 nor empty."
    )
    acl: AclColumn | None = None
    metadata: dict[MetadataName, Name] = Field({}, max_length=32, description="Metadata name to column.")
    overlap: int = Field(
        300,
        ge=0,
        le=604_800,
        description="Overlap of a run with the last one, for late commits: seconds, or numbers.",
    )
    page: int = Field(5000, ge=1, le=100_000, description="Rows read by one statement.")
    statement_timeout_seconds: float = Field(30, gt=0, le=3600, description="Time allowed to one statement.")
    connect_timeout_seconds: int = Field(5, ge=1, le=60, description="Time allowed to connect.")
    max_cell_bytes: int | None = Field(None, ge=1, description="Largest content; RAG_MAX_FILE_BYTES applies as well.")

    @model_validator(mode="after")
    def _one_relation(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError("needs either `table` or `query`")
        return self

    @property
    def columns(self) -> list[str]:
        """Every column that is named, once each."""
        optional = [self.title, self.deleted, self.acl.column if self.acl else None]
        named = [*self.key, self.updated_at, *self.content, *optional, *self.metadata.values()]
        return list(dict.fromkeys(name for name in named if name is not None))

    @property
    def asset_kind(self) -> str:
        return self.database.driver

    def opened(self) -> Opened:
        database = self.database
        if isinstance(database, SqliteDatabase):
            return Opened(paths=(database.path,))
        port = database.port or SQL_PORTS[database.driver]
        return Opened((database.ca_file,) if database.ca_file else (), ((database.host.lower(), port),))

    def needed_path(self) -> tuple[str, Literal["file"]] | None:
        return (self.database.path, "file") if isinstance(self.database, SqliteDatabase) else None

    @property
    def location(self) -> str:
        """The location of the rows, for display: never the user, the password or the query."""
        database = self.database
        where = database.path if isinstance(database, SqliteDatabase) else f"{database.host}/{database.name}"
        return f"{where} {self.table or '(query)'}"


class DatabaseOptions(SqlOptions):
    """A database whose tables are listed, and the columns of one."""

    key: Annotated[list[Name], BeforeValidator(_as_list)] = Field([])
    updated_at: str = ""
    content: Annotated[list[Name], BeforeValidator(_as_list)] = Field([])

    @model_validator(mode="after")
    def _one_relation(self) -> Self:
        return self
