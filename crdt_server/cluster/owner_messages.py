"""Messages from the owners of remote rooms: responses, stored updates, notices."""

from __future__ import annotations

import asyncio

from crdt_server.cluster.messages import (
    SUBSCRIBE,
    InStoreMessage,
    NoticeMessage,
    NotOwnerMessage,
    ResponseMessage,
    UpdateMessage,
)
from crdt_server.cluster.owners import Owners
from crdt_server.cluster.port import HubPort
from crdt_server.cluster.remote_dispatcher import RemoteDispatcher
from crdt_server.cluster.remote_room import RemoteRoom
from crdt_server.pipe import RequestKind
from crdt_server.rooms.refusals import notify

RESUBSCRIBE_SECONDS = 0.05


class OwnerMessages:
    """Handles the messages of owners. Those for a room that is not remote any more are dropped."""

    def __init__(self, dispatcher: RemoteDispatcher, owners: Owners, hub: HubPort) -> None:
        self._dispatcher = dispatcher
        self._owners = owners
        self._hub = hub

    def on_response(self, message: ResponseMessage) -> None:
        """The response to a request, or the confirmation of a subscription."""
        remote = self._dispatcher.remotes.get(message.key)
        if remote is None:
            return
        room = remote.room
        self._advance(remote, message.seq)
        if message.number == SUBSCRIBE:
            remote.subscribed = True
            room.opened()
        is_oldest = remote.is_oldest(message.number)
        requests = remote.pop(message.number)
        is_read = bool(requests) and requests[0].kind in (RequestKind.STATE_VECTOR, RequestKind.DIFF)
        if is_read and message.seq < room.head_seq:
            # The response lacks updates that were sent since; only these sessions would never get them.
            remote.put_back(requests)
        elif requests:
            remote.settle(requests, message.status, message.response)
        if is_oldest:
            remote.waiting_since = remote.message_at
        self._dispatcher.on_response(remote)

    def on_in_store(self, message: InStoreMessage) -> None:
        """The response is in the store."""
        remote = self._dispatcher.remotes.get(message.key)
        if remote is not None:
            self._advance(remote, message.seq)
            remote.waiting_since = remote.message_at
            self._dispatcher.catch_up.respond(remote, message.number)

    def on_update(self, message: UpdateMessage) -> None:
        """The owner has stored an update."""
        remote = self._dispatcher.remotes.get(message.key)
        if remote is None:
            return
        if not remote.catching_up and (not remote.seq_known or message.seq == remote.room.head_seq + 1):
            remote.seq_known, remote.message_at = True, self._hub.time()
            remote.room.broadcast_stored(message.seq, message.update)
        else:
            self._advance(remote, message.seq)

    def on_notice(self, message: NoticeMessage) -> None:
        """A change of a session was undone."""
        remote = self._dispatcher.remotes.get(message.key)
        if remote is not None:
            for session in [each for each in remote.room.members if each.id == message.session]:
                notify(remote.room, session, message.notice)

    def on_not_owner(self, message: NotOwnerMessage) -> None:
        """The node of the subscription does not own the wedding, or has closed the document."""
        remote = self._dispatcher.remotes.get(message.key)
        if remote is not None:
            self._owners.forget(remote.key.wedding)
            remote.unsubscribe()
            asyncio.get_running_loop().call_later(RESUBSCRIBE_SECONDS, self._schedule, remote)

    def _advance(self, remote: RemoteRoom, seq: int) -> None:
        remote.message_at = self._hub.time()
        self._dispatcher.catch_up.advance(remote, seq)

    def _schedule(self, remote: RemoteRoom) -> None:
        if self._dispatcher.remotes.get(remote.key) is remote:
            self._dispatcher.schedule(remote.room)
