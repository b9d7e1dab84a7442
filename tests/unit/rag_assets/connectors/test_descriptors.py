"""Security descriptors of Windows: the first entry that names a right decides, and what is not understood hides."""

from __future__ import annotations

import pytest

from rag_assets.connectors.fields import NOBODY
from rag_assets.connectors.files.descriptors import READ_DATA, TRAVERSE, rights
from rag_core.governance.access import EVERYONE
from tests.support.descriptors import PASS, READ, Ace, descriptor

OWNER = "S-1-5-21-1-2-3-500"
ANN, SALES = "S-1-5-21-1-2-3-1000", "S-1-5-21-1-2-3-1100"
WORLD, NETWORK, SIGNED_IN = "S-1-1-0", "S-1-5-2", "S-1-5-11"
INHERITED, INHERIT_ONLY = 0x10, 0x08


@pytest.mark.parametrize(
    ("aces", "acl"),
    [
        ([(0, 0, READ, SALES)], (f"corp/sid:{SALES}",)),
        ([(1, 0, READ, ANN), (0, INHERITED, READ, SALES)], (f"corp/sid:{SALES}", f"deny:corp/sid:{ANN}")),
        ([(0, 0, READ, SALES), (1, INHERITED, READ, SALES)], (f"corp/sid:{SALES}",)),  # its own entry comes first
        ([(1, 0, READ, SALES), (0, 0, READ, SALES)], (NOBODY,)),
        ([(0, 0, READ, WORLD)], (EVERYONE,)),
        ([(0, 0, READ, SIGNED_IN), (1, 0, READ, ANN)], (EVERYONE,)),
        ([(1, 0, READ, ANN), (0, 0, READ, NETWORK)], (EVERYONE, f"deny:corp/sid:{ANN}")),
        ([(0, 0, READ, ANN), (1, 0, READ, WORLD), (0, 0, READ, SALES)], (f"corp/sid:{ANN}",)),
        ([(0, INHERIT_ONLY, READ, SALES)], (NOBODY,)),
        ([(0, 0, 0x1000_0000, SALES)], (f"corp/sid:{SALES}",)),  # all, as a generic right
        ([(0, 0, 0x0012_0116, SALES)], (NOBODY,)),  # write, not read
        ([(0, 0, READ, "S-1-22-1-1000"), (0, 0, READ, "S-1-22-2-100")], ("corp/gid:100", "corp/uid:1000")),
        ([(1, 0, READ, "S-1-3-4"), (0, 0, READ, SALES)], (f"corp/sid:{SALES}", f"deny:corp/sid:{OWNER}")),
        ([(9, 0, READ, SALES)], (NOBODY,)),  # on a condition
        ([(0, 0, READ, SALES), (6, 0, READ, ANN)], (NOBODY,)),  # refuses somebody who is not read
        ([], (NOBODY,)),
        (None, (NOBODY,)),
    ],
)
def test_the_entries_of_a_file_make_its_acl(aces: list[Ace] | None, acl: tuple[str, ...]) -> None:
    assert rights(descriptor(aces), READ_DATA).acl("corp") == acl


def test_a_folder_is_passed_by_another_right_than_a_file_is_read() -> None:
    found = descriptor([(0, 0, READ, ANN), (0, 0, PASS, SALES)])
    assert [rights(found, right).allowed for right in (READ_DATA, TRAVERSE)] == [{f"sid:{ANN}"}, {f"sid:{SALES}"}]


def test_a_descriptor_that_breaks_off_shows_the_document_to_nobody_it_did_not_name() -> None:
    whole = descriptor([(1, 0, READ, ANN), (0, 0, READ, SALES), (0, 0, READ, WORLD)])
    assert rights(whole, READ_DATA).acl("corp") == (EVERYONE, f"corp/sid:{SALES}", f"deny:corp/sid:{ANN}")
    for length in range(len(whole)):
        assert EVERYONE not in rights(whole[:length], READ_DATA).allowed
