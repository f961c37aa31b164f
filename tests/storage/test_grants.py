"""Rights are read with few queries: sockets come by the thousand, after a restart all at once."""

from datetime import UTC, datetime

from sqlalchemy import create_engine, event, insert

from storage.grants import StoredRights, rights_of
from storage.tables import members, metadata, rights

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def test_a_wedding_whose_rights_were_never_changed_costs_one_query() -> None:
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    statements: list[str] = []
    with engine.begin() as connection:
        connection.execute(insert(rights).values(wedding="w_2", version=1, audit_seq=0, audit_digest=""))
        person = {"role": "couple", "vendor": "", "guest": "", "side": "", "name": "", "added_by": "u", "at": NOW}
        connection.execute(insert(members).values(wedding="w_2", user="u", **person))
        event.listen(connection, "before_cursor_execute", lambda *call: statements.append(call[2]))
        assert rights_of(connection, "w_1", NOW) == StoredRights(0, [], [], [], [], [])
        assert len(statements) == 1
        assert [each.user for each in rights_of(connection, "w_2", NOW).members] == ["u"]
