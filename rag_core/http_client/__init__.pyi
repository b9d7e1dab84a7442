from .addresses import Address as Address, AddressRules as AddressRules, carried as carried
from .egress import (
    EXTENSION as EXTENSION,
    OWN_TEXT as OWN_TEXT,
    UNRESTRICTED as UNRESTRICTED,
    EgressPolicy as EgressPolicy,
    Provenance as Provenance,
    Use as Use,
    covered as covered,
    forbidden as forbidden,
    provenance as provenance,
    sending as sending,
)
from .fetcher import Fetched as Fetched, Fetcher as Fetcher
from .model_endpoint import check_endpoint as check_endpoint
from .network import (
    NO_ADDRESS as NO_ADDRESS,
    endpoint_client as endpoint_client,
    is_address as is_address,
    system_resolver as system_resolver,
)
from .own_parts import (
    NO_PARTS as NO_PARTS,
    OwnParts as OwnParts,
    says_where_parts_listen as says_where_parts_listen,
)
from .pacing import (
    RETRIED_STATES as RETRIED_STATES,
    Again as Again,
    Pacing as Pacing,
    check_state as check_state,
    retry_after as retry_after,
)
from .policy import FetchLimits as FetchLimits, FetchPolicy as FetchPolicy, origin_of as origin_of
