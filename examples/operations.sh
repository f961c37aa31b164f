#!/bin/sh
# A program without Yjs: read rows, change two documents at once, follow the events, see the conflicts.
#   sh examples/operations.sh [http://127.0.0.1:8000]
set -eu

wedding=${1:-http://127.0.0.1:8000}/api/weddings/demo
guest=g_example$(date +%s)

echo "-- A guest and a seat: both or neither. The key makes it safe to send this again."
command=$(cat <<END
{"parts": [
  {"document": "guests", "operations": [
    {"op": "insert", "root": "guests", "record": "$guest", "value": {"firstName": "Ann", "lastName": "Example"}},
    {"op": "set", "root": "guests", "record": "$guest", "key": "rsvp:e_reception", "value": "yes"},
    {"op": "text", "root": "guests", "record": "$guest", "key": "note", "insert": "Comes by train."}]},
  {"document": "seating", "operations": [
    {"op": "set", "root": "assignments", "record": "$guest", "value": {"table": "t_example", "seat": null}}]}]}
END
)
for attempt in first second; do
  curl -fsS "$wedding/ops?user=u_example&role=planner" -H "Idempotency-Key: $guest" -d "$command"
  echo " ($attempt)"
done

echo "-- What does not fit is refused with reasons, and nothing is done."
curl -sS "$wedding/documents/guests/ops" -d '{"operations": [
  {"op": "set", "root": "guests", "record": "'"$guest"'", "key": "side", "value": "left"}]}'

echo
echo "-- The rows, and their digest"
curl -fsS "$wedding/documents/guests" | head -c 300
echo "…"
curl -fsS "$wedding/documents/guests/digest"

echo
echo "-- What happened: in pages, and as it happens"
curl -fsS "$wedding/events?after=0&limit=1" | head -c 300
echo "…"
{ curl -sN --max-time 2 "$wedding/events/stream?after=0" || true; } | head -n 5

echo "-- What waits for a person; POST …/conflicts/{id}/resolve {\"choice\": 0} decides"
curl -fsS "$wedding/conflicts?state=open" | head -c 300
echo "…"
