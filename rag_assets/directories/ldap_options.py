"""The file of a directory whose people and groups are on an LDAP server, as it stands in YAML."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from rag_assets.connectors.fields import Host, Model, Plain
from rag_core.content.sources import SecretRef

TenantName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Attribute = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")]
_PEOPLE = {"openldap": "(objectClass=person)", "active_directory": "(&(objectCategory=person)(objectClass=user))"}
_GROUPS = {
    "openldap": "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup))",
    "active_directory": "(objectCategory=group)",
}


class LdapDirectory(Model):
    """People and groups of OpenLDAP or Active Directory."""

    kind: Literal["ldap"]
    tenant: TenantName
    host: Host = Field(description="Name of the server, as its certificate has it.")
    port: int | None = Field(None, ge=1, le=65_535, description="Its port; left out: 636, with starttls 389.")
    security: Literal["tls", "starttls", "none"] = Field("tls", description="`none` is allowed on loopback only.")
    ca_file: Annotated[str, StringConstraints(pattern=r"^/[^\x00]{1,4095}$")] | None = Field(
        None, description="CA certificates that the server's is checked against; left out: the system's."
    )
    schema_: Literal["openldap", "active_directory"] = Field("openldap", alias="schema")
    bind_dn: Plain = Field(description="The account that may read people and groups.")
    password: SecretRef = Field(description="Its password, by reference.")
    base: Plain = Field(description="Where people and groups are, such as dc=acme,dc=example.")
    people: Plain | None = Field(None, description="Filter of people.")
    groups: Plain | None = Field(None, description="Filter of groups.")
    subject: Attribute | None = Field(
        None, description="Attribute of a person that is the subject of tokens; left out: uid, in Active Directory "
        "sAMAccountName."
    )  # fmt: skip
    group_name: Attribute = Field("cn", description="Attribute of a group that tokens name it by.")
    timeout_seconds: float = Field(30, ge=1, le=3600, description="Silence of the server that is waited for.")

    @property
    def endpoint(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, self.port or (636 if self.security == "tls" else 389)

    @property
    def login_attribute(self) -> str:
        """The attribute with the name that people sign in with."""
        return "sAMAccountName" if self.schema_ == "active_directory" else "uid"

    @property
    def filters(self) -> tuple[str, str]:
        """The filters of people and of groups."""
        return self.people or _PEOPLE[self.schema_], self.groups or _GROUPS[self.schema_]
