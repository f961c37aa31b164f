"""Which node owns which wedding; on PostgreSQL, a function that stores a batch in one statement."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

name = sa.String(255).with_variant(sa.String(255, collation="C"), "postgresql")

# Arrays of equal length are the columns of what goes in. Rules:
# - every append locks the rows of its weddings in `owners`, in order: appends to other weddings go on beside it, those
#   to the same one wait, no two wait for each other, and a change of the owner waits for what is being appended;
# - each statement of the function sees what was committed when it began, so what is read behind the lock is true;
# - planned for few rows each through an index: what the planner believes of arrays and new tables would be wrong.
# Raises WD001 (a document is at another sequence number: its place in d_*, and the number), WD002 (weddings that the
# node does not own), WD003 (an answer is there: its place in a_*).
APPEND_BATCH = """
CREATE FUNCTION append_batch(
    p_weddings text[], p_node text, p_fences bigint[],
    d_wedding text[], d_name text[], d_head bigint[],
    u_document integer[], u_seq bigint[], u_update bytea[], u_checksum bigint[],
    r_wedding text[], r_document text[], r_root text[], r_record text[], r_fields text[], r_writers text[],
    h_wedding text[],
    e_head integer[], e_number bigint[], e_type text[], e_at text[], e_document text[], e_record text[], e_body text[],
    c_wedding text[], c_document text[], c_client bigint[], c_user text[],
    a_wedding text[], a_key text[], a_digest text[], a_body text[], a_at timestamptz[],
    g_wedding text[], g_vendor text[],
    b_wedding text[], b_vendor text[], b_organization text[], b_start bigint[], b_until bigint[], b_stage text[],
    b_seq bigint[]
) RETURNS bigint[] LANGUAGE plpgsql
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
    v_heads bigint[] := '{}';
BEGIN
    INSERT INTO owners (wedding, node, fence)
    SELECT w, '', 0 FROM unnest(p_weddings) AS asked(w)
    WHERE NOT EXISTS (SELECT FROM owners WHERE wedding = w) ORDER BY w COLLATE "C"
    ON CONFLICT (wedding) DO NOTHING;

    SELECT array_agg(node), array_agg(fence) INTO v_nodes, v_fences FROM (
        SELECT node, fence FROM owners WHERE wedding = ANY (p_weddings) ORDER BY wedding FOR NO KEY UPDATE
    ) AS held;
    IF p_fences IS NOT NULL THEN
        SELECT array_agg(w) INTO v_lost FROM unnest(p_weddings, p_fences, v_nodes, v_fences) AS asked(w, f, node, fence)
        WHERE node <> p_node OR fence <> f;
        IF v_lost IS NOT NULL THEN
            RAISE EXCEPTION 'not the owner' USING ERRCODE = 'WD002', DETAIL = array_to_json(v_lost);
        END IF;
    END IF;

    IF cardinality(d_name) > 0 THEN
        INSERT INTO documents (wedding, name)
        SELECT w, n FROM unnest(d_wedding, d_name) AS asked(w, n)
        WHERE NOT EXISTS (SELECT FROM documents WHERE wedding = w AND name = n);

        SELECT array_agg(id ORDER BY place) INTO v_ids
        FROM unnest(d_wedding, d_name) WITH ORDINALITY AS asked(w, n, place)
        JOIN documents ON wedding = w AND name = n;

        SELECT place, head INTO v_place, v_head FROM (
            SELECT place, expected, coalesce(
                (SELECT last_seq FROM updates WHERE document_id = d ORDER BY first_seq DESC LIMIT 1), 0
            ) AS head
            FROM unnest(v_ids, d_head) WITH ORDINALITY AS asked(d, expected, place)
        ) AS heads WHERE head <> expected ORDER BY place LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'sequence' USING ERRCODE = 'WD001', DETAIL = json_build_array(v_place, v_head);
        END IF;

        INSERT INTO updates (document_id, first_seq, last_seq, "update", checksum)
        SELECT v_ids[d], seq, seq, bytes, crc
        FROM unnest(u_document, u_seq, u_update, u_checksum) AS new(d, seq, bytes, crc);
    END IF;

    IF cardinality(a_key) > 0 THEN
        SELECT place INTO v_place FROM unnest(a_wedding, a_key) WITH ORDINALITY AS new(w, k, place)
        WHERE EXISTS (SELECT FROM answers WHERE wedding = w AND "key" = k) ORDER BY place LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'answered' USING ERRCODE = 'WD003', DETAIL = v_place;
        END IF;
        INSERT INTO answers (wedding, "key", digest, body, at)
        SELECT * FROM unnest(a_wedding, a_key, a_digest, a_body, a_at);
    END IF;

    IF cardinality(r_root) > 0 THEN
        INSERT INTO rows (wedding, document, root, record, fields, writers)
        SELECT * FROM unnest(r_wedding, r_document, r_root, r_record, r_fields, r_writers)
        ON CONFLICT (wedding, document, root, record)
        DO UPDATE SET fields = excluded.fields, writers = excluded.writers;
    END IF;

    IF cardinality(g_vendor) > 0 THEN
        DELETE FROM bookings USING unnest(g_wedding, g_vendor) AS gone(w, v) WHERE wedding = w AND vendor = v;
    END IF;
    IF cardinality(b_vendor) > 0 THEN
        INSERT INTO bookings (wedding, vendor, organization, start, until, stage, seq)
        SELECT * FROM unnest(b_wedding, b_vendor, b_organization, b_start, b_until, b_stage, b_seq)
        ON CONFLICT (wedding, vendor) DO UPDATE
        SET organization = excluded.organization, start = excluded.start, until = excluded.until,
            stage = excluded.stage, seq = excluded.seq;
    END IF;

    IF cardinality(c_client) > 0 THEN
        INSERT INTO client_ids (wedding, document, client, "user")
        SELECT * FROM unnest(c_wedding, c_document, c_client, c_user)
        ON CONFLICT (wedding, document, client) DO NOTHING;
    END IF;

    IF cardinality(h_wedding) > 0 THEN
        SELECT array_agg(coalesce((SELECT max(seq) FROM events WHERE wedding = w), 0) ORDER BY place) INTO v_heads
        FROM unnest(h_wedding) WITH ORDINALITY AS asked(w, place);
        INSERT INTO events (wedding, seq, type, at, document, record, body)
        SELECT h_wedding[h], v_heads[h] + number, type, at, document, record, body
        FROM unnest(e_head, e_number, e_type, e_at, e_document, e_record, e_body)
            AS new(h, number, type, at, document, record, body);
    END IF;
    RETURN v_heads;
END
$$
"""


def upgrade() -> None:
    op.create_table(
        "nodes",
        sa.Column("node", name, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("node", name="pk_nodes"),
    )
    op.create_table(
        "owners",
        sa.Column("wedding", name, nullable=False),
        sa.Column("node", name, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("wedding", name="pk_owners"),
    )
    op.create_index("ix_owners_node", "owners", ["node"])
    if op.get_bind().dialect.name == "postgresql":
        op.get_bind().exec_driver_sql(APPEND_BATCH)
