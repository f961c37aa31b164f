"""The function of PostgreSQL that stores an append in one statement, made from the declared tables.

Its name contains a digest of its text: a migrated database has the function of this program, and keeps those of older
ones for the nodes that still run them. Its arguments are arrays of equal length, one for each column.
"""

from hashlib import sha256

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import String

from storage.derived_tables import ANSWERS, AUDIT, BOOKINGS, CLIENT_IDS, EVENTS, ROWS, DerivedTable
from storage.statements import names, on_conflict
from storage.tables import updates

# The function; the inserts of derived records are made from their declarations. Rules:
# - every append locks the rows of its weddings in `owners`, in order: appends to other weddings go on beside it, those
#   to the same one wait, no two wait for each other, and a change of the owner waits for what is being appended;
# - each statement of the function sees what was committed when it began, so what is read behind the lock is true;
# - planned for few rows each through an index: the planner's estimates for arrays and new tables would be wrong.
# Raises WD001 (a document is at another sequence number: its place among the documents, and the number), WD002
# (weddings that the node does not own), WD003 (an answer is there: its place among the answers).
_TEXT = """
CREATE FUNCTION {name}({parameters}) RETURNS bigint[] LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    v_nodes text[];
    v_fences bigint[];
    v_lost text[];
    v_ids bigint[];
    v_place bigint;
    v_head bigint;
    v_heads bigint[] := '{{}}';
    v_entry record;
    v_previous text;
    v_digest text;
BEGIN
    INSERT INTO owners (wedding, node, fence)
    SELECT w, '', 0 FROM unnest(p_weddings) AS given(w)
    WHERE NOT EXISTS (SELECT FROM owners WHERE wedding = w) ORDER BY w COLLATE "C"
    ON CONFLICT (wedding) DO NOTHING;

    SELECT array_agg(node), array_agg(fence) INTO v_nodes, v_fences FROM (
        SELECT node, fence FROM owners WHERE wedding = ANY (p_weddings) ORDER BY wedding FOR NO KEY UPDATE
    ) AS held;
    IF p_fences IS NOT NULL THEN
        SELECT array_agg(w) INTO v_lost FROM unnest(p_weddings, p_fences, v_nodes, v_fences) AS given(w, f, node, fence)
        WHERE node <> p_node OR fence <> f;
        IF v_lost IS NOT NULL THEN
            RAISE EXCEPTION 'not the owner' USING ERRCODE = 'WD002', DETAIL = array_to_json(v_lost);
        END IF;
    END IF;

    IF cardinality(p_documents_name) > 0 THEN
        INSERT INTO documents (wedding, name)
        SELECT w, n FROM unnest(p_documents_wedding, p_documents_name) AS given(w, n)
        WHERE NOT EXISTS (SELECT FROM documents WHERE wedding = w AND name = n);

        SELECT array_agg(id ORDER BY place) INTO v_ids
        FROM unnest(p_documents_wedding, p_documents_name) WITH ORDINALITY AS given(w, n, place)
        JOIN documents ON wedding = w AND name = n;

        SELECT place, head INTO v_place, v_head FROM (
            SELECT place, expected, coalesce(
                (SELECT last_seq FROM updates WHERE document_id = d ORDER BY first_seq DESC LIMIT 1), 0
            ) AS head
            FROM unnest(v_ids, p_documents_head) WITH ORDINALITY AS given(d, expected, place)
        ) AS heads WHERE head <> expected ORDER BY place LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'sequence' USING ERRCODE = 'WD001', DETAIL = json_build_array(v_place, v_head);
        END IF;

        INSERT INTO updates (document_id, first_seq, last_seq, "update", checksum)
        SELECT v_ids[d], seq, seq, bytes, crc
        FROM unnest(p_updates_document, p_updates_first_seq, p_updates_update, p_updates_checksum)
            AS new(d, seq, bytes, crc);
    END IF;

    IF cardinality(p_answers_key) > 0 THEN
        SELECT place INTO v_place
        FROM unnest(p_answers_wedding, p_answers_key) WITH ORDINALITY AS new(w, k, place)
        WHERE EXISTS (SELECT FROM answers WHERE wedding = w AND "key" = k) ORDER BY place LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'answered' USING ERRCODE = 'WD003', DETAIL = v_place;
        END IF;
    END IF;
    IF cardinality(p_removed_vendor) > 0 THEN
        DELETE FROM bookings USING unnest(p_removed_wedding, p_removed_vendor) AS gone(w, v)
        WHERE wedding = w AND vendor = v;
    END IF;
{inserts}
    IF cardinality(p_event_weddings) > 0 THEN
        SELECT array_agg(coalesce((SELECT max(seq) FROM events WHERE wedding = w), 0) ORDER BY place) INTO v_heads
        FROM unnest(p_event_weddings) WITH ORDINALITY AS given(w, place);
        INSERT INTO events ({event_columns})
        SELECT p_event_weddings[place], v_heads[place] + number, {event_values}
        FROM unnest(p_events_place, {event_arrays}) AS new(place, number, {event_values});
    END IF;
    IF cardinality(p_audit_wedding) > 0 THEN
        INSERT INTO rights (wedding, version, audit_seq, audit_digest)
        SELECT DISTINCT w, 0, 0, '' FROM unnest(p_audit_wedding) AS given(w) ORDER BY 1
        ON CONFLICT (wedding) DO NOTHING;
        FOR v_entry IN
            SELECT * FROM unnest({audit_arrays}) WITH ORDINALITY AS new(w, {audit_values}, place) ORDER BY place
        LOOP
            SELECT audit_seq + 1, audit_digest INTO v_head, v_previous FROM rights WHERE wedding = v_entry.w FOR UPDATE;
            v_digest := encode(sha256(convert_to(concat_ws(
                chr(10), v_entry.w, v_head::text, {audit_lines}, v_previous
            ), 'UTF8')), 'hex');
            INSERT INTO audit (wedding, seq, {audit_values}, previous, digest)
            VALUES (v_entry.w, v_head, {audit_lines}, v_previous, v_digest);
            UPDATE rights SET audit_seq = v_head, audit_digest = v_digest WHERE wedding = v_entry.w;
        END LOOP;
    END IF;
    RETURN v_heads;
END
$$
"""
_INSERT = """
    IF cardinality({first}) > 0 THEN
        INSERT INTO {table} ({columns}) SELECT * FROM unnest({arrays}) {conflict};
    END IF;
"""


def _type(table: Table, column: str) -> str:
    found = table.c[column].type
    return "text" if isinstance(found, String) else found.compile(postgresql.dialect()).lower()  # type: ignore[no-untyped-call]


def _array(declared: DerivedTable, column: str) -> str:
    return f"p_{declared.table.name}_{column}"


def _arrays(declared: DerivedTable) -> list[tuple[str, str]]:
    """The parameters for the columns of a table."""
    return [(_array(declared, column), f"{_type(declared.table, column)}[]") for column in declared.columns]


PARAMETERS = [
    ("p_weddings", "text[]"),
    ("p_node", "text"),
    ("p_fences", "bigint[]"),
    ("p_documents_wedding", "text[]"),
    ("p_documents_name", "text[]"),
    ("p_documents_head", "bigint[]"),
    ("p_updates_document", "integer[]"),
    *((f"p_updates_{name}", f"{_type(updates, name)}[]") for name in ("first_seq", "update", "checksum")),
    ("p_removed_wedding", "text[]"),
    ("p_removed_vendor", "text[]"),
    *(parameter for declared in (ROWS, BOOKINGS, CLIENT_IDS, ANSWERS) for parameter in _arrays(declared)),
    ("p_event_weddings", "text[]"),
    # In place of its wedding an event has the place of it.
    ("p_events_place", "integer[]"),
    *_arrays(EVENTS)[1:],
    # An entry is numbered here.
    *(_arrays(AUDIT)[each] for each in (0, 2, 3, 4, 5)),
]


def _inserts() -> str:
    return "".join(
        _INSERT.format(
            first=_array(declared, declared.columns[0]),
            table=declared.table.name,
            columns=names(declared.columns),
            arrays=", ".join(_array(declared, column) for column in declared.columns),
            conflict=on_conflict(declared),
        )
        for declared in (ROWS, BOOKINGS, CLIENT_IDS, ANSWERS)
    )


def _create(name: str) -> str:
    return _TEXT.format(
        name=name,
        parameters=", ".join(f"{parameter} {type_}" for parameter, type_ in PARAMETERS),
        inserts=_inserts(),
        event_columns=names(EVENTS.columns),
        event_values=names(EVENTS.columns[2:]),
        event_arrays=", ".join(_array(EVENTS, column) for column in EVENTS.columns[1:]),
        audit_arrays=", ".join(_array(AUDIT, column) for column in AUDIT.columns if column != "seq"),
        audit_values=names(AUDIT.columns[2:]),
        audit_lines=", ".join(f'v_entry."{column}"' for column in AUDIT.columns[2:]),
    )


NAME = f"append_batch_{sha256(_create('').encode()).hexdigest()[:12]}"
CALL = f"SELECT {NAME}({', '.join(f'${number}' for number in range(1, len(PARAMETERS) + 1))})"


def exists(connection: Connection) -> bool:
    """Whether the database has the function of this program."""
    return bool(connection.exec_driver_sql("SELECT 1 FROM pg_proc WHERE proname = $1", (NAME,)).scalar())


def create(connection: Connection) -> None:
    """Create the function where it is missing."""
    if not exists(connection):
        connection.exec_driver_sql(_create(NAME))
