"""The codes of problem documents over HTTP: what each means, and what a client does about it.

A test compares the table with the codes that the server raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Explained(NamedTuple):
    """The meaning of a code, and the remedy."""

    meaning: str
    remedy: str


_BYTES: Final = Explained(
    "The bytes are no well-formed message, update or state vector.", "Send what a Yjs library has encoded."
)
_WAIT: Final = "Try again after the seconds of Retry-After."
_LATER: Final = Explained("The server, its database or its files cannot do this now.", _WAIT)
_FULL: Final = Explained("A limit of what is open or under way at a time is reached.", _WAIT)
_RATE: Final = Explained("Too much in too short a time.", _WAIT)

CODES: Final[Mapping[str, Explained]] = {
    "already_resolved": Explained("The conflict is resolved.", "Read it again."),
    "bytes_only": Explained("Text where bytes belong.", "Send binary messages."),
    "code_expired": Explained("There is no code for this address any more.", "Enter the address again."),
    "derived_document": Explained("A command on several documents takes no derived one.", "Send its part alone."),
    "empty_file": Explained("The file has no bytes.", "Send the bytes of the file as the body."),
    "events_expired": Explained("Some of the events are not kept any more.", "Go on behind the `after` of the answer."),
    "forbidden": Explained("The person has no right to this.", "Request a grant, or another role."),
    "grant_given": Explained("The grant is given already.", "Read the grants again."),
    "http": Explained("The request is not one that this server answers.", "Compare it with /api/openapi.json."),
    "idempotency_key_reused": Explained("The key belongs to another command.", "Make a new key for each command."),
    "invalid_request": Explained(
        "A parameter or a part of the body is not acceptable: `field` names it.", "Send what `expected` says."
    ),
    "last_of_couple": Explained("Nobody of the couple would be left.", "Add another one first."),
    "member_exists": Explained("The person is a member already.", "Change the member."),
    "method_not_allowed": Explained("The path takes other methods.", "Compare it with /api/openapi.json."),
    "no_schema": Explained("The document is free-form: it has no rows.", "Read its state."),
    "no_signing_key": Explained("The server has no secret to sign tokens with.", "Set --jwt-secret-file."),
    "no_such_option": Explained("The conflict has no such option.", "Take the `id` of one of its `_options`."),
    "not_a_member": Explained("The person is no member of this wedding.", "Add or invite the person."),
    "not_as_named": Explained("The bytes are another sort of file than the name says.", "Name the file as it is."),
    "not_found": Explained("There is no such thing, or it is none of the person's.", "Compare the names in the path."),
    "not_resolved": Explained("It was too late for this choice.", "Read the conflict again."),
    "not_retried": Explained("The message is not one that can be sent again.", "Read the outbox again."),
    "operations_refused": Explained(
        "The document does not allow the operations, and none was done: `problems` has the reasons.",
        "Change those that are named, and send all again.",
    ),
    "over_quota": Explained("The wedding has no room left.", "Delete something; deletions are taken."),
    "program": Explained("Programs are no attachments.", "Send another file."),
    "room_full": Explained("Too many are in this document.", _WAIT),
    "search_too_broad": Explained(
        "Too many words fit the query.", "Search for longer beginnings of words, or shorter phrases of rarer words."
    ),
    "state_vector": Explained("The state vector is not base64url.", "Encode the state vector as base64url."),
    "too_large": Explained("The document is full.", "Delete something; deletions are taken."),
    "too_many_contacts": Explained("The person has too many addresses.", "Remove one."),
    "too_many_devices": Explained("The person has too many devices.", "Revoke one."),
    "too_many_webhooks": Explained("The wedding has too many webhooks.", "Remove one."),
    "unauthenticated": Explained("There is no token, or none that is valid.", "Get a new token."),
    "violation": Explained("The document cannot take this update.", "Set the copy aside, and read the document anew."),
    "wrong_code": Explained("This is not the code that was sent.", "Enter the code of the newest message."),
    **dict.fromkeys(
        ("client_id_taken", "gap", "merge_lost_content", "stored_gap"),
        Explained("The update does not go with what the server has.", "Read the state of the document, and merge."),
    ),
    **dict.fromkeys(
        ("body_too_large", "limit", "frame_too_large"),
        Explained("More bytes than are allowed.", "Send a smaller file, or the same in several parts."),
    ),
    **dict.fromkeys(
        ("too_many_grants", "too_many_own_grants", "too_many_invitations", "too_many_own_invitations", "too_many",
         "too_many_own_threads", "too_many_codes", "too_many_members"),
        Explained("There are too many of these.", "End or withdraw some."),
    ),
    **dict.fromkeys(
        ("too_many_changes", "too_many_messages", "too_many_requests", "too_many_reads", "rate_limited"), _RATE
    ),
    **dict.fromkeys(("admission", "streams", "downloads", "memory"), _FULL),
    **dict.fromkeys(
        ("body_timeout", "database_slow", "database_unavailable", "disk_full", "draining", "file_missing",
         "files_unavailable", "overloaded", "try_again", "unreadable", "without_rules"),
        _LATER,
    ),
    **dict.fromkeys(
        ("address", "awareness_json", "awareness_limit", "clock", "count", "empty_frame", "json", "malformed_update",
         "nesting", "structure", "trailing", "trailing_bytes", "truncated", "unexpected_message", "unknown_message",
         "unsupported", "utf8", "varint"),
        _BYTES,
    ),
}  # fmt: skip
"""Code -> its meaning."""
