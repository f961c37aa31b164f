/* Load generator: many simulated Yjs clients in one thread on one epoll.
 *
 * Speaks raw WebSocket and either the y-websocket or the Hocuspocus protocol. Every update is a Yjs v1 update
 * built here: one ContentString appended by one client at its own clock to the root text 'text', or, with --guests 1,
 * one entry of the record that each client makes for itself in the document 'guests'. Receivers decode
 * what arrives (single or merged updates, sync step 2) down to (client, clock) ranges, so each delivery to another
 * client is counted exactly once, and losses and duplicates are known rather than guessed.
 *
 * It is driven by lines on stdin; each command is answered by one JSON line on stdout. Between commands sockets are
 * still served (pings answered, messages counted). Commands, all numbers decimal:
 *   connect CONCURRENCY DEADLINE_S EXPECT_UPDATES WARM_MEMBERS
 *   rate UPDATES_PER_S SECONDS DRAIN_S          open loop, all clients write
 *   closed IN_FLIGHT SECONDS DRAIN_S            closed loop, member 0 of room 0 writes
 *   presence HZ SECONDS DRAIN_S                 open loop, all clients send awareness
 *   fill UPDATES SCATTER WINDOW DEADLINE_S RATE member 0 of every room writes at most RATE per second (0: no limit),
 *                                               with a sync barrier per window
 *   durable UPDATES RATE DEADLINE_S PID...      kill -9 the pids the moment member 1 has seen the last update
 *   coverage                                    what client 0 holds of member 0's updates
 *   await UPDATES DEADLINE_S                    until every client holds so many of member 0's updates;
 *                                               who was closed comes back
 *   gone CODE DEADLINE_S                        until every client is closed; answers how many with CODE, and when the
 *                                               last was, in seconds of CLOCK_MONOTONIC
 *   quit
 * A client of Hocuspocus has a socket of its own, for one document.
 * With --queries FILE the URL of each client has the query in the line of its number.
 * Of several ports (--port 1,2,3) each wedding has one of its own, or with --by-client 1 each client the next one.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

enum { READ_BYTES = 1 << 18, AHEAD_BITS = 1 << 16, EVENTS = 1024, NAME_BYTES = 128, QUERY_BYTES = 1024 };
static const uint64_t NS = 1000000000ull;

/* Client ids: unique per (generation, room, member) and, like most real ones, five bytes as a varint. */
enum { ID_BASE = 1 << 28, ID_ROOMS = 10007, ID_MEMBERS = 2003 };

typedef struct { uint8_t *bytes; size_t length, capacity; } Buffer;
typedef struct { uint64_t *items; size_t length, capacity; } Times;

/* What one receiver holds of one sender, in updates: everything below next, plus single bits ahead of it. */
typedef struct { uint32_t next, total; uint64_t *ahead; } Coverage;

typedef enum { CLOSED, CONNECTING, UPGRADING, OPEN } Phase;

typedef struct {
    int fd, room, member;
    Phase phase;
    bool step2_seen, complete, warm, want_write, barrier;
    Buffer in, out, message; /* partial input, unsent output, fragmented message */
    uint64_t opened_at, retry_at, closed_at;
    int close_code;
    char *query;
    uint32_t sent, presence_sent;
    Times sent_at, presence_at;
    uint32_t echoed;
    Coverage *seen;
    uint32_t *presence_seen;
} Client;

static struct {
    const char *host, *prefix, *queries;
    int ports[16], port_count, rooms, members, per_wedding, sources, chars, generation, track;
    bool hocuspocus, guests, by_client;
} opt = {.host = "127.0.0.1", .prefix = "r", .rooms = 1, .members = 2, .per_wedding = 5,
         .sources = 1, .chars = 10, .generation = 1, .track = 0, .hocuspocus = false};

static Client *clients;
static int client_count, epoll_fd, open_count, opening_count, next_to_open, open_limit;
static uint32_t expect_updates, warm_members;
static int complete_count;

/* Counters of the command under way; reset by begin(). */
static struct {
    uint64_t sent, expected, delivered, duplicates, echoes, misaligned, undecodable, out_of_window;
    uint64_t frames, bytes, closed, retries, refused, send_lag_max, connections_failed;
    int last_close_code;
} count;

/* Closed loop: outstanding receivers per update of the writer since first. */
static struct { bool on; uint32_t first; uint64_t outstanding, completed; Times left; } loop_state;
static struct { bool on; uint32_t goal; int pids[64], pid_count; bool killed; uint32_t seen; } durable;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS + (uint64_t)t.tv_nsec;
}

static void die(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(2);
}

static void *grow(void *old, size_t bytes) {
    void *fresh = realloc(old, bytes);
    if (!fresh) die("out of memory (%zu bytes)", bytes);
    return fresh;
}

static void buffer_append(Buffer *b, const void *bytes, size_t n) {
    if (b->length + n > b->capacity) {
        b->capacity = (b->length + n) * 2;
        b->bytes = grow(b->bytes, b->capacity);
    }
    memcpy(b->bytes + b->length, bytes, n);
    b->length += n;
}

static void buffer_drop(Buffer *b, size_t n) {
    b->length -= n;
    if (b->length) memmove(b->bytes, b->bytes + n, b->length);
    else { free(b->bytes); *b = (Buffer){0}; } /* idle sockets hold no buffer */
}

static void times_push(Times *t, uint64_t value) {
    if (t->length == t->capacity) {
        t->capacity = t->capacity ? t->capacity * 2 : 16;
        t->items = grow(t->items, t->capacity * sizeof *t->items);
    }
    t->items[t->length++] = value;
}

/* ---- latency histogram: 64 linear steps per power of two, 1.6 % resolution, fixed memory ---- */
enum { STEPS = 64, HISTOGRAM = STEPS * 40 };
typedef struct { uint64_t slots[HISTOGRAM], total, max; } Latency;
static Latency latency, echo_latency; /* until others have it, until its writer has it back */

static void latency_add(Latency *l, uint64_t ns) {
    uint64_t us = ns / 1000, slot = us;
    if (us >= STEPS) {
        int shift = 63 - __builtin_clzll(us) - 6;
        slot = (uint64_t)(shift + 1) * STEPS + ((us >> shift) - STEPS);
    }
    if (slot >= HISTOGRAM) slot = HISTOGRAM - 1;
    l->slots[slot]++;
    l->total++;
    if (ns > l->max) l->max = ns;
}

static double latency_ms(const Latency *l, double quantile) {
    uint64_t wanted = (uint64_t)(quantile * (double)l->total), passed = 0;
    for (uint64_t slot = 0; slot < HISTOGRAM; slot++) {
        passed += l->slots[slot];
        if (passed > wanted) {
            if (slot < STEPS) return (double)slot / 1000.0;
            uint64_t shift = slot / STEPS - 1;
            return (double)((STEPS + slot % STEPS) << shift) / 1000.0;
        }
    }
    return (double)l->max / 1e6;
}

static void begin(void) {
    memset(&count, 0, sizeof count);
    latency = echo_latency = (Latency){0};
}

/* ---- lib0 ---- */
typedef struct { const uint8_t *at, *end; bool bad; } Reader;

static uint64_t read_varuint(Reader *r) {
    uint64_t value = 0;
    for (int shift = 0; shift < 63; shift += 7) {
        if (r->at >= r->end) break;
        uint8_t byte = *r->at++;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return value;
    }
    r->bad = true;
    return 0;
}

static Reader read_bytes(Reader *r) {
    uint64_t n = read_varuint(r);
    if (r->bad || n > (uint64_t)(r->end - r->at)) { r->bad = true; return (Reader){r->end, r->end, true}; }
    Reader inner = {r->at, r->at + n, false};
    r->at += n;
    return inner;
}

static uint8_t *write_varuint(uint8_t *p, uint64_t value) {
    while (value > 127) { *p++ = (uint8_t)(128 | (value & 127)); value >>= 7; }
    *p++ = (uint8_t)value;
    return p;
}

static uint8_t *write_bytes(uint8_t *p, const void *bytes, size_t n) {
    p = write_varuint(p, n);
    memcpy(p, bytes, n);
    return p + n;
}

/* ---- Yjs updates ---- */
static uint64_t client_id(int generation, int room, int member) {
    return ID_BASE + ((uint64_t)generation * ID_ROOMS + (uint64_t)room) * ID_MEMBERS + (uint64_t)member;
}

/* The member that wrote under this id in this room and the tracked generation, or -1. */
static int member_of(uint64_t id, int room) {
    if (id < ID_BASE) return -1;
    uint64_t index = id - ID_BASE, member = index % ID_MEMBERS;
    if (index / ID_MEMBERS != (uint64_t)opt.track * ID_ROOMS + (uint64_t)room) return -1;
    return member < (uint64_t)opt.members ? (int)member : -1;
}

/* Characters [clock, clock + length) of one client. Scattered text is inserted five characters before the client's
 * end instead of after it, so that replicas cannot squash it into one long item. */
static uint8_t *write_insert(uint8_t *p, uint64_t id, uint64_t clock, uint64_t length, bool scatter) {
    bool middle = scatter && clock > 5;
    *p++ = 1;
    *p++ = 1;
    p = write_varuint(p, id);
    p = write_varuint(p, clock);
    *p++ = (uint8_t)(4 | (clock ? 0x80 : 0) | (middle ? 0x40 : 0));
    if (clock) {
        p = write_varuint(p, id);
        p = write_varuint(p, clock - (middle ? 6 : 1));
        if (middle) { p = write_varuint(p, id); p = write_varuint(p, clock - 5); }
    } else {
        *p++ = 1;
        p = write_bytes(p, "text", 4);
    }
    p = write_varuint(p, length);
    for (uint64_t i = 0; i < length; i++) *p++ = (uint8_t)('a' + (clock + i) % 26);
    *p++ = 0;
    return p;
}

static uint8_t *write_text(uint8_t *p, const char *text) { return write_bytes(p, text, strlen(text)); }

/* Update n of a client's own guest, one clock each, as Yjs encodes what `guests.set(id, new Y.Map())` and then
 * `guest.set(key, value)` do: the map, its names, and from then on meal and phone by turns, each entry on the one it
 * overwrites, which is deleted. */
static uint8_t *write_guest(uint8_t *p, uint64_t id, uint32_t n, int member) {
    static const char *const keys[] = {"firstName", "lastName", "meal", "phone"}, *const meals[] = {"fish", "beef", "vegan"};
    char value[64];
    bool overwrites = n > 4;
    *p++ = 1;
    *p++ = 1;
    p = write_varuint(p, id);
    p = write_varuint(p, n);
    if (n == 0) {
        *p++ = 7 | 0x20;
        *p++ = 1;
        p = write_text(p, "guests");
        snprintf(value, sizeof value, "g-%llu", (unsigned long long)id);
        p = write_text(p, value);
        *p++ = 1; /* a map */
        *p++ = 0;
        return p;
    }
    int key = n <= 4 ? (int)n - 1 : 2 + (int)(n - 1) % 2;
    if (key == 2) snprintf(value, sizeof value, "%s", meals[n / 2 % 3]);
    else if (key == 3) snprintf(value, sizeof value, "+44 7700 %d %u", member, 100000 + n);
    else snprintf(value, sizeof value, "%s %d", key ? "Guest" : "Robin", member);
    *p++ = (uint8_t)(8 | (overwrites ? 0x80 : 0x20));
    if (!overwrites) *p++ = 0;
    p = write_varuint(p, id);
    p = write_varuint(p, overwrites ? n - 2 : 0);
    if (!overwrites) p = write_text(p, keys[key]);
    *p++ = 1;
    *p++ = 119;
    p = write_text(p, value);
    *p++ = overwrites;
    if (overwrites) {
        p = write_varuint(p, id);
        *p++ = 1;
        p = write_varuint(p, n - 2);
        *p++ = 1;
    }
    return p;
}

static void delivered(Client *receiver, int member, uint32_t n, uint64_t now);

static void cover(Client *c, int member, uint32_t from, uint32_t to, uint64_t now) {
    if (!c->seen) c->seen = grow(NULL, sizeof(Coverage) * (size_t)opt.members),
        memset(c->seen, 0, sizeof(Coverage) * (size_t)opt.members);
    Coverage *s = &c->seen[member];
    if (from < s->next) {
        uint32_t known = (to < s->next ? to : s->next) - from;
        count.duplicates += known;
        from += known;
    }
    if (from >= to) return;
    if (to - s->next > AHEAD_BITS && from > s->next) { count.out_of_window += to - from; return; }
    if (from > s->next) {
        if (!s->ahead) s->ahead = calloc(AHEAD_BITS / 64, 8);
        for (uint32_t n = from; n < to; n++) {
            uint64_t *word = &s->ahead[n % AHEAD_BITS / 64], bit = 1ull << n % 64;
            if (*word & bit) { count.duplicates++; continue; }
            *word |= bit;
            s->total++;
            delivered(c, member, n, now);
        }
        return;
    }
    for (uint32_t n = from;; n++) {
        bool early = s->ahead && s->ahead[n % AHEAD_BITS / 64] & 1ull << n % 64;
        if (early) {
            s->ahead[n % AHEAD_BITS / 64] &= ~(1ull << n % 64);
            if (n < to) count.duplicates++;
        } else if (n < to) {
            s->total++;
            delivered(c, member, n, now);
        } else { s->next = n; break; }
    }
}

static void echoed(Client *c, uint32_t end, uint64_t now) {
    for (; c->echoed < end && c->echoed < c->sent_at.length; c->echoed++)
        latency_add(&echo_latency, now - c->sent_at.items[c->echoed]);
}

static void cover_clocks(Client *c, uint64_t id, uint64_t first, uint64_t end, uint64_t now) {
    int member = member_of(id, c->room);
    if (member < 0 || first == end) return;
    uint64_t chars = (uint64_t)opt.chars;
    if (member == c->member && opt.track == opt.generation) {
        count.echoes += (end - first) / chars;
        echoed(c, (uint32_t)(end / chars), now);
        return;
    }
    if (first % chars || end % chars) count.misaligned++;
    cover(c, member, (uint32_t)((first + chars - 1) / chars), (uint32_t)(end / chars), now);
}

static void skip_any(Reader *r, int depth) {
    int kind = r->at < r->end ? *r->at++ : 0;
    uint64_t count;
    if (depth > 64) { r->bad = true; return; }
    switch (kind) {
    case 127: case 126: case 121: case 120: return;
    case 125: read_varuint(r); return;
    case 124: r->at += 4; break;
    case 123: case 122: r->at += 8; break;
    case 119: case 116: read_bytes(r); return;
    case 118: for (count = read_varuint(r); count-- && !r->bad;) { read_bytes(r); skip_any(r, depth + 1); } return;
    case 117: for (count = read_varuint(r); count-- && !r->bad;) skip_any(r, depth + 1); return;
    default: r->bad = true;
    }
    if (r->at > r->end) r->bad = true;
}

/* Length of a struct's content in clock units; the kinds this generator can meet. */
static uint64_t content_length(Reader *r, int kind) {
    switch (kind) {
    case 1: return read_varuint(r);
    case 4: {
        Reader text = read_bytes(r);
        uint64_t units = 0;
        for (; text.at < text.end; text.at++) units += (*text.at & 0xC0) != 0x80 ? (*text.at >= 0xF0 ? 2 : 1) : 0;
        return units;
    }
    case 3: case 5: read_bytes(r); return 1;
    case 6: read_bytes(r); read_bytes(r); return 1;
    case 7: read_varuint(r); return 1; /* a map or a text */
    case 8: {
        uint64_t values = read_varuint(r);
        for (uint64_t i = 0; i < values && !r->bad; i++) skip_any(r, 0);
        return values;
    }
    default: r->bad = true; return 0;
    }
}

static void decode_update(Client *c, Reader r, uint64_t now) {
    uint64_t sections = read_varuint(&r);
    while (sections-- && !r.bad) {
        uint64_t structs = read_varuint(&r), id = read_varuint(&r), first = read_varuint(&r), clock = first;
        while (structs-- && !r.bad) {
            if (r.at >= r.end) { r.bad = true; break; }
            int info = *r.at++, kind = info & 31;
            if (kind == 10) {
                cover_clocks(c, id, first, clock, now);
                first = clock += read_varuint(&r);
                continue;
            }
            if (kind == 0) { clock += read_varuint(&r); continue; }
            if (info & 0x80) { read_varuint(&r); read_varuint(&r); }
            if (info & 0x40) { read_varuint(&r); read_varuint(&r); }
            if (!(info & 0xC0)) {
                if (read_varuint(&r)) read_bytes(&r);
                else { read_varuint(&r); read_varuint(&r); }
                if (info & 0x20) read_bytes(&r);
            }
            clock += content_length(&r, kind);
        }
        if (!r.bad) cover_clocks(c, id, first, clock, now);
    }
    if (r.bad) count.undecodable++;
}

static uint64_t clock_in_state_vector(Reader sv, uint64_t wanted) {
    uint64_t entries = read_varuint(&sv);
    while (entries-- && !sv.bad) {
        uint64_t id = read_varuint(&sv), clock = read_varuint(&sv);
        if (id == wanted) return clock;
    }
    return 0;
}

/* ---- sockets and frames ---- */
static void client_close(Client *c, int code);

static void watch(Client *c, bool write) {
    if (c->want_write == write) return;
    struct epoll_event e = {.events = EPOLLIN | (write ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e);
    c->want_write = write;
}

static void client_write(Client *c, const uint8_t *bytes, size_t n) {
    size_t done = 0;
    if (!c->out.length) {
        ssize_t written = send(c->fd, bytes, n, MSG_NOSIGNAL);
        if (written < 0 && errno != EAGAIN) { client_close(c, 1006); return; }
        done = written < 0 ? 0 : (size_t)written;
    }
    if (done < n) { buffer_append(&c->out, bytes + done, n - done); watch(c, true); }
}

static void flush(Client *c) {
    if (!c->out.length) { watch(c, false); return; }
    ssize_t written = send(c->fd, c->out.bytes, c->out.length, MSG_NOSIGNAL);
    if (written < 0) { if (errno != EAGAIN) client_close(c, 1006); return; }
    buffer_drop(&c->out, (size_t)written);
    if (!c->out.length) watch(c, false);
}

static void send_frame(Client *c, int opcode, const uint8_t *payload, size_t n) {
    static uint8_t *frame;
    static size_t capacity;
    static const uint8_t mask[4] = {0x5a, 0xc3, 0x17, 0x9e};
    if (capacity < n + 16) frame = grow(frame, capacity = (n + 16) * 2);
    uint8_t *p = frame;
    *p++ = (uint8_t)(0x80 | opcode);
    if (n < 126) *p++ = (uint8_t)(0x80 | n);
    else if (n < 65536) { *p++ = 0x80 | 126; *p++ = (uint8_t)(n >> 8); *p++ = (uint8_t)n; }
    else { *p++ = 0x80 | 127; for (int shift = 56; shift >= 0; shift -= 8) *p++ = (uint8_t)((uint64_t)n >> shift); }
    memcpy(p, mask, 4);
    p += 4;
    for (size_t i = 0; i < n; i++) *p++ = payload[i] ^ mask[i & 3];
    client_write(c, frame, (size_t)(p - frame));
}

static int document_name(const Client *c, char *name) {
    if (opt.guests) return snprintf(name, NAME_BYTES, "bench-%s%d/guests", opt.prefix, c->room);
    return snprintf(name, NAME_BYTES, "w_%s%d/notes.%s%d", opt.prefix, c->room / opt.per_wedding, opt.prefix, c->room);
}

/* Where a message's own bytes start: after the document name in the Hocuspocus protocol, at once otherwise. */
static uint8_t *message_head(const Client *c, uint8_t *p) {
    char name[NAME_BYTES];
    if (!opt.hocuspocus) return p;
    return write_bytes(p, name, (size_t)document_name(c, name));
}

static uint8_t *scratch(size_t n) {
    static uint8_t *bytes;
    static size_t capacity;
    if (capacity < n + 256) bytes = grow(bytes, capacity = (n + 256) * 2);
    return bytes;
}

static void send_sync(Client *c, int kind, const uint8_t *body, size_t n) {
    static uint8_t *bytes;
    static size_t capacity;
    if (capacity < n + 256) bytes = grow(bytes, capacity = (n + 256) * 2);
    uint8_t *p = message_head(c, bytes);
    *p++ = 0;
    *p++ = (uint8_t)kind;
    p = write_bytes(p, body, n);
    send_frame(c, 2, bytes, (size_t)(p - bytes));
}

/* A replica holds what it wrote itself, and a warm one also the room's filled text. */
static uint64_t held_clock(const Client *c) {
    return c->warm ? (uint64_t)expect_updates * (uint64_t)opt.chars : (uint64_t)c->sent * (uint64_t)opt.chars;
}

static uint64_t held_id(const Client *c) {
    return c->warm ? client_id(opt.track, c->room, 0) : client_id(opt.generation, c->room, c->member);
}

static void send_step1(Client *c) {
    uint8_t sv[32], *p = sv;
    if (held_clock(c)) {
        *p++ = 1;
        p = write_varuint(p, held_id(c));
        p = write_varuint(p, held_clock(c));
    } else *p++ = 0;
    send_sync(c, 0, sv, (size_t)(p - sv));
}

static void answer_step1(Client *c, Reader sv) {
    uint64_t have = held_clock(c), known = c->warm ? clock_in_state_vector(sv, held_id(c)) : have;
    if (known >= have) { send_sync(c, 1, (const uint8_t *)"\0\0", 2); return; }
    uint8_t *body = scratch(have - known);
    uint8_t *end = write_insert(body, held_id(c), known, have - known, false);
    send_sync(c, 1, body, (size_t)(end - body));
}

static void send_hello(Client *c) {
    if (opt.hocuspocus) {
        uint8_t bytes[NAME_BYTES + 32], *p = message_head(c, bytes);
        *p++ = 2;
        *p++ = 0;
        p = write_bytes(p, "token", 5);
        p = write_bytes(p, "4.7.0", 5);
        send_frame(c, 2, bytes, (size_t)(p - bytes));
    }
    send_step1(c);
}

static void send_update(Client *c, bool scatter, uint64_t due) {
    uint8_t body[4096 + 64];
    uint64_t id = client_id(opt.generation, c->room, c->member), chars = (uint64_t)opt.chars;
    uint8_t *end = opt.guests ? write_guest(body, id, c->sent, c->member)
                              : write_insert(body, id, (uint64_t)c->sent * chars, chars, scatter);
    times_push(&c->sent_at, due);
    c->sent++;
    count.sent++;
    send_sync(c, 2, body, (size_t)(end - body));
}

static void send_presence(Client *c, uint64_t due) {
    char state[128];
    uint8_t inner[256], bytes[512], *p = inner;
    int n = snprintf(state, sizeof state, "{\"user\":{\"name\":\"Guest %d\",\"color\":\"#30bced\"},\"cursor\":%u}",
                     c->member, c->presence_sent);
    times_push(&c->presence_at, due);
    c->presence_sent++; /* awareness clocks start at 1 here */
    count.sent++;
    *p++ = 1;
    p = write_varuint(p, client_id(opt.generation, c->room, c->member));
    p = write_varuint(p, c->presence_sent);
    p = write_bytes(p, state, (size_t)n);
    uint8_t *q = message_head(c, bytes);
    *q++ = 1;
    q = write_bytes(q, inner, (size_t)(p - inner));
    send_frame(c, 2, bytes, (size_t)(q - bytes));
}

/* ---- what comes in ---- */
static void check_complete(Client *c) {
    if (c->complete || !c->step2_seen) return;
    if (expect_updates && !c->warm && (!c->seen || c->seen[0].next < expect_updates)) return;
    c->complete = true;
    complete_count++;
    latency_add(&latency, now_ns() - c->opened_at);
}

static void delivered(Client *receiver, int member, uint32_t n, uint64_t now) {
    Client *sender = &clients[receiver->room * opt.members + member];
    count.delivered++;
    if (opt.track == opt.generation && n < sender->sent_at.length) {
        uint64_t at = sender->sent_at.items[n];
        latency_add(&latency, now > at ? now - at : 0);
    }
    if (loop_state.on && sender == clients && n >= loop_state.first && n - loop_state.first < loop_state.left.length
        && --loop_state.left.items[n - loop_state.first] == 0) {
        loop_state.outstanding--;
        loop_state.completed++;
    }
    if (durable.on && !durable.killed && receiver == clients + 1 && member == 0) {
        durable.seen++;
        if (n + 1 == durable.goal) {
            durable.killed = true;
            for (int i = 0; i < durable.pid_count; i++) kill(durable.pids[i], SIGKILL);
        }
    }
}

static void receive_presence(Client *c, Reader r, uint64_t now) {
    uint64_t states = read_varuint(&r);
    while (states-- && !r.bad) {
        uint64_t id = read_varuint(&r), clock = read_varuint(&r);
        read_bytes(&r);
        int member = member_of(id, c->room);
        if (member < 0 || r.bad) continue;
        if (member == c->member) { count.echoes++; continue; }
        if (!c->presence_seen) c->presence_seen = calloc((size_t)opt.members, sizeof *c->presence_seen);
        Client *sender = &clients[c->room * opt.members + member];
        if (clock <= c->presence_seen[member] || clock > sender->presence_at.length) { count.duplicates++; continue; }
        c->presence_seen[member] = (uint32_t)clock;
        count.delivered++;
        latency_add(&latency, now - sender->presence_at.items[clock - 1]);
    }
    if (r.bad) count.undecodable++;
}

static void receive_sync(Client *c, Reader *r, uint64_t now) {
    uint64_t kind = read_varuint(r);
    Reader body = read_bytes(r);
    if (r->bad) return;
    if (kind == 0) { answer_step1(c, body); return; }
    if (kind == 1) { c->step2_seen = true; c->barrier = false; }
    decode_update(c, body, now);
    check_complete(c);
}

static void receive_message(Client *c, const uint8_t *bytes, size_t n) {
    Reader r = {bytes, bytes + n, false};
    uint64_t now = now_ns();
    if (opt.hocuspocus) read_bytes(&r);
    do {
        uint64_t type = read_varuint(&r);
        if (type == 0) receive_sync(c, &r, now);
        else if (type == 1) receive_presence(c, read_bytes(&r), now);
        else if (type == 2) {
            uint64_t verdict = read_varuint(&r);
            if (verdict == 0 && !opt.hocuspocus) count.refused++;
            if (verdict == 1) count.refused++;
            return;
        } else if (type == 7 && opt.hocuspocus) { client_close(c, 1005); return; /* its only document */
        } else if (type == 3 || type == 5 || type == 7 || type == 8 || type == 9 || type == 10) return;
        else r.bad = true;
    } while (!r.bad && r.at < r.end && c->phase == OPEN);
    if (r.bad) count.undecodable++;
}

static void receive_frame(Client *c, int head, const uint8_t *payload, size_t n) {
    int opcode = head & 15;
    count.frames++;
    count.bytes += n;
    if (opcode == 8) { client_close(c, n >= 2 ? payload[0] << 8 | payload[1] : 1005); return; }
    if (opcode == 9) { send_frame(c, 10, payload, n); return; }
    if (opcode == 10) return;
    if ((head & 0x80) && !c->message.length) { receive_message(c, payload, n); return; }
    buffer_append(&c->message, payload, n);
    if (!(head & 0x80)) return;
    Buffer whole = c->message;
    c->message = (Buffer){0};
    receive_message(c, whole.bytes, whole.length);
    free(whole.bytes);
}

/* Frames in bytes[0..n); returns how many bytes were used. */
static size_t parse_frames(Client *c, const uint8_t *bytes, size_t n) {
    size_t used = 0;
    while (c->phase == OPEN && n - used >= 2) {
        const uint8_t *p = bytes + used;
        size_t head = 2;
        uint64_t length = p[1] & 127;
        if (length == 126) {
            if (n - used < 4) break;
            length = (uint64_t)p[2] << 8 | p[3];
            head = 4;
        } else if (length == 127) {
            if (n - used < 10) break;
            length = 0;
            for (int i = 2; i < 10; i++) length = length << 8 | p[i];
            head = 10;
        }
        if (n - used - head < length) break;
        receive_frame(c, p[0], p + head, (size_t)length);
        used += head + (size_t)length;
    }
    return used;
}

static size_t parse_upgrade(Client *c, const uint8_t *bytes, size_t n) {
    const uint8_t *end = memmem(bytes, n, "\r\n\r\n", 4);
    if (!end) return 0;
    if (n < 12 || memcmp(bytes + 9, "101", 3)) {
        count.refused++;
        client_close(c, n < 12 ? 0 : atoi((const char *)bytes + 9));
        return n;
    }
    c->phase = OPEN;
    open_count++;
    send_hello(c);
    return (size_t)(end + 4 - bytes);
}

static void consume(Client *c, const uint8_t *bytes, size_t n, size_t *used) {
    *used = 0;
    if (c->phase == UPGRADING) *used = parse_upgrade(c, bytes, n);
    if (c->phase == OPEN) *used += parse_frames(c, bytes + *used, n - *used);
}

static void readable(Client *c) {
    static uint8_t bytes[READ_BYTES];
    ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);
    if (n <= 0) { if (n == 0 || errno != EAGAIN) client_close(c, 1006); return; }
    size_t used;
    if (!c->in.length) {
        consume(c, bytes, (size_t)n, &used);
        if (c->phase != CLOSED && used < (size_t)n) buffer_append(&c->in, bytes + used, (size_t)n - used);
        return;
    }
    buffer_append(&c->in, bytes, (size_t)n);
    consume(c, c->in.bytes, c->in.length, &used);
    if (c->phase != CLOSED && used) buffer_drop(&c->in, used);
}

/* ---- opening and closing ---- */
static int port_of(const Client *c) {
    int wedding = opt.guests ? c->room : c->room / opt.per_wedding;
    return opt.ports[(opt.by_client ? (int)(c - clients) : wedding) % opt.port_count];
}

static void send_upgrade(Client *c) {
    char request[512 + QUERY_BYTES], name[NAME_BYTES];
    document_name(c, name);
    int n = snprintf(request, sizeof request,
                     "GET %s%s%s%s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                     opt.hocuspocus ? "/hocuspocus" : "/ws/", opt.hocuspocus ? "" : name, c->query ? "?" : "",
                     c->query ? c->query : "", opt.host, port_of(c));
    c->phase = UPGRADING;
    client_write(c, (uint8_t *)request, (size_t)n);
}

static void client_open(Client *c) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port_of(c))}, from = {.sin_family = AF_INET};
    int one = 1;
    inet_pton(AF_INET, opt.host, &to.sin_addr);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) { count.connections_failed++; c->phase = CLOSED; c->retry_at = now_ns() + NS; return; }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (opt.sources > 1) { /* one address has only some 28,000 ports; servers may also limit per address */
        from.sin_addr.s_addr = htonl(0x7f000002u + (uint32_t)((c - clients) % opt.sources));
        setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(c->fd, (struct sockaddr *)&from, sizeof from)) die("bind: %s", strerror(errno));
    }
    c->phase = CONNECTING;
    c->want_write = true;
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) client_close(c, 1006);
}

static void client_close(Client *c, int code) {
    if (c->phase == CLOSED) return;
    if (c->phase == OPEN) { open_count--; count.closed++; count.last_close_code = code; }
    else { count.retries++; count.last_close_code = code; }
    close(c->fd);
    c->fd = -1;
    c->phase = CLOSED;
    free(c->in.bytes); free(c->out.bytes); free(c->message.bytes);
    c->in = c->out = c->message = (Buffer){0};
    c->closed_at = now_ns();
    c->close_code = code;
    c->retry_at = c->closed_at + NS / 10;
}

static void handle(Client *c, uint32_t events) {
    if (c->phase == CONNECTING) {
        int error = 0;
        socklen_t n = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &n);
        if (error || events & EPOLLHUP) { client_close(c, 1006); return; }
        if (events & EPOLLOUT) send_upgrade(c);
        return;
    }
    if (events & EPOLLOUT && c->phase != CLOSED) flush(c);
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && c->phase != CLOSED) readable(c);
}

/* One turn: wait at most until wake (ns), then serve what is ready. Returns true when stdin has a command. */
static bool turn(uint64_t wake) {
    struct epoll_event events[EVENTS];
    uint64_t now = now_ns();
    int timeout = wake <= now ? 0 : wake - now < NS / 1000 ? 1 : (int)((wake - now) / 1000000);
    int n = epoll_wait(epoll_fd, events, EVENTS, timeout);
    bool command = false;
    for (int i = 0; i < n; i++) {
        Client *c = events[i].data.ptr;
        if (!c) command = true;
        else if (c->phase != CLOSED) handle(c, events[i].events);
    }
    return command;
}

static void drain(double seconds) {
    uint64_t deadline = now_ns() + (uint64_t)(seconds * 1e9);
    while (count.delivered < count.expected && now_ns() < deadline) turn(deadline);
}

static void answer(const char *format, ...) {
    va_list args;
    va_start(args, format);
    printf("{");
    vprintf(format, args);
    va_end(args);
    printf(", \"closed\": %llu, \"last_close_code\": %d, \"undecodable\": %llu, \"refused\": %llu}\n",
           (unsigned long long)count.closed, count.last_close_code, (unsigned long long)count.undecodable,
           (unsigned long long)count.refused);
    fflush(stdout);
}

static void answer_deliveries(uint64_t start, uint64_t stop) {
    uint64_t end = now_ns(), lost = count.expected > count.delivered ? count.expected - count.delivered : 0;
    answer("\"sent\": %llu, \"expected\": %llu, \"delivered\": %llu, \"lost\": %llu, \"duplicates\": %llu, "
           "\"echoes\": %llu, \"misaligned\": %llu, \"out_of_window\": %llu, \"frames\": %llu, \"bytes\": %llu, "
           "\"seconds\": %.4f, \"drain_seconds\": %.4f, \"completed\": %llu, \"send_lag_max_ms\": %.2f, "
           "\"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f, \"echo_p50_ms\": %.3f, \"echo_p99_ms\": %.3f",
           (unsigned long long)count.sent, (unsigned long long)count.expected, (unsigned long long)count.delivered,
           (unsigned long long)lost, (unsigned long long)count.duplicates, (unsigned long long)count.echoes,
           (unsigned long long)count.misaligned, (unsigned long long)count.out_of_window,
           (unsigned long long)count.frames, (unsigned long long)count.bytes,
           (double)(stop - start) / 1e9, (double)(end - stop) / 1e9, (unsigned long long)loop_state.completed,
           (double)count.send_lag_max / 1e6, latency_ms(&latency, 0.5), latency_ms(&latency, 0.99), (double)latency.max / 1e6,
           latency_ms(&echo_latency, 0.5), latency_ms(&echo_latency, 0.99));
}

/* ---- commands ---- */
static void open_some(uint64_t now) {
    int busy = opening_count;
    for (; next_to_open < client_count && busy < open_limit; next_to_open++, busy++) {
        clients[next_to_open].opened_at = now;
        client_open(&clients[next_to_open]);
    }
}

static void retry_some(uint64_t now) {
    for (int i = 0; i < next_to_open; i++)
        if (clients[i].phase == CLOSED && clients[i].retry_at <= now) client_open(&clients[i]);
}

static void cmd_connect(const char *args) {
    double seconds = 30;
    open_limit = 128;
    expect_updates = warm_members = 0;
    sscanf(args, "%d %lf %u %u", &open_limit, &seconds, &expect_updates, &warm_members);
    begin();
    complete_count = 0;
    for (int i = 0; i < client_count; i++)
        clients[i].warm = expect_updates && (uint32_t)clients[i].member < warm_members;
    uint64_t start = now_ns(), deadline = start + (uint64_t)(seconds * 1e9), next_retry = start;
    while (complete_count < client_count && now_ns() < deadline) {
        uint64_t now = now_ns();
        opening_count = next_to_open - complete_count;
        open_some(now);
        if (now >= next_retry) { retry_some(now); next_retry = now + NS / 20; }
        turn(now + NS / 20);
    }
    double took = (double)(now_ns() - start) / 1e9;
    answer("\"clients\": %d, \"open\": %d, \"complete\": %d, \"seconds\": %.4f, \"per_second\": %.1f, "
           "\"retries\": %llu, \"socket_errors\": %llu, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f, \"bytes\": %llu",
           client_count, open_count, complete_count, took, complete_count / took, (unsigned long long)count.retries,
           (unsigned long long)count.connections_failed, latency_ms(&latency, 0.5), latency_ms(&latency, 0.99), (double)latency.max / 1e6,
           (unsigned long long)count.bytes);
}

static int others_open(const Client *c) {
    int others = -1;
    for (int m = 0; m < opt.members; m++) others += clients[c->room * opt.members + m].phase == OPEN;
    return others;
}

/* Open loop: the i-th message is due at start + i / rate, whatever the server does; latency counts from then. */
static void open_loop(double rate, double seconds, double drain_seconds, void (*send_one)(Client *, uint64_t)) {
    begin();
    loop_state.completed = 0;
    uint64_t total = (uint64_t)(rate * seconds), start = now_ns() + NS / 1000, done = 0;
    static uint64_t cursor; /* rooms take turns: member 0 of every room, then member 1, ... */
    while (done < total && open_count) {
        uint64_t now = now_ns(), due = start + (uint64_t)((double)done * 1e9 / rate);
        if (due > now) { turn(due); continue; }
        if (now - due > count.send_lag_max) count.send_lag_max = now - due;
        for (int burst = 0; burst < 64 && due <= now && done < total; burst++) {
            uint64_t slot = cursor++ % (uint64_t)client_count;
            Client *c = &clients[slot % (uint64_t)opt.rooms * (uint64_t)opt.members + slot / (uint64_t)opt.rooms];
            done++;
            if (c->phase == OPEN) {
                count.expected += (uint64_t)others_open(c);
                send_one(c, due);
            }
            due = start + (uint64_t)((double)done * 1e9 / rate);
        }
        turn(0);
    }
    uint64_t stop = now_ns();
    drain(drain_seconds);
    answer_deliveries(start, stop);
}

static void send_text(Client *c, uint64_t due) { send_update(c, false, due); }

static void cmd_rate(const char *args) {
    double rate = 100, seconds = 1, wait = 5;
    sscanf(args, "%lf %lf %lf", &rate, &seconds, &wait);
    open_loop(rate, seconds, wait, send_text);
}

static void cmd_presence(const char *args) {
    double hz = 1, seconds = 5, wait = 2;
    sscanf(args, "%lf %lf %lf", &hz, &seconds, &wait);
    open_loop(hz * client_count, seconds, wait, send_presence);
}

static void cmd_closed(const char *args) {
    double seconds = 3, wait = 5;
    uint64_t in_flight = 1;
    sscanf(args, "%lu %lf %lf", &in_flight, &seconds, &wait);
    begin();
    Client *writer = clients;
    loop_state.on = true;
    loop_state.first = writer->sent;
    loop_state.outstanding = loop_state.completed = loop_state.left.length = 0;
    uint64_t start = now_ns(), deadline = start + (uint64_t)(seconds * 1e9);
    while (now_ns() < deadline && writer->phase == OPEN) {
        while (loop_state.outstanding < in_flight && writer->phase == OPEN) {
            uint64_t readers = (uint64_t)others_open(writer);
            times_push(&loop_state.left, readers);
            count.expected += readers;
            loop_state.outstanding++;
            send_update(writer, false, now_ns());
        }
        turn(deadline);
    }
    drain(wait);
    loop_state.on = false;
    answer_deliveries(start, now_ns());
}

/* Writers of all rooms send window after window; a sync step 1 behind each window is answered when it is applied. */
static void cmd_fill(const char *args) {
    uint32_t updates = 1, window = 100;
    int scatter = 0;
    double seconds = 60, rate = 0;
    sscanf(args, "%u %d %u %lf %lf", &updates, &scatter, &window, &seconds, &rate);
    begin();
    uint64_t start = now_ns(), deadline = start + (uint64_t)(seconds * 1e9);
    int busy = 1;
    for (; busy && now_ns() < deadline && open_count; turn(now_ns() + NS / 100)) {
        busy = 0;
        for (int room = 0; room < opt.rooms; room++) {
            Client *c = &clients[room * opt.members];
            if (c->phase != OPEN || c->barrier) { busy += c->barrier; continue; }
            if (c->sent >= updates) continue;
            if (rate > 0 && c->sent > rate * (double)(now_ns() - start) / 1e9) { busy++; continue; }
            for (uint32_t i = 0; i < window && c->sent < updates; i++) send_update(c, scatter, now_ns());
            c->barrier = true;
            send_step1(c);
            busy++;
        }
    }
    double took = (double)(now_ns() - start) / 1e9;
    answer("\"sent\": %llu, \"confirmed\": %s, \"seconds\": %.4f", (unsigned long long)count.sent,
           busy ? "false" : "true", took);
}

static void cmd_durable(char *args) {
    uint32_t updates = 0;
    double rate = 500, seconds = 10;
    int used = 0;
    sscanf(args, "%u %lf %lf %n", &updates, &rate, &seconds, &used);
    begin();
    memset(&durable, 0, sizeof durable);
    for (char *token = strtok(args + used, " \n"); token && durable.pid_count < 64; token = strtok(NULL, " \n"))
        durable.pids[durable.pid_count++] = atoi(token);
    durable.on = true;
    durable.goal = updates;
    uint64_t start = now_ns(), deadline = start + (uint64_t)(seconds * 1e9);
    while (!durable.killed && now_ns() < deadline) {
        uint64_t due = start + (uint64_t)((double)clients->sent * 1e9 / rate);
        if (clients->sent < updates && due <= now_ns() && clients->phase == OPEN) send_update(clients, false, due);
        turn(clients->sent < updates ? due : deadline);
    }
    bool in_time = durable.killed;
    for (int i = 0; i < durable.pid_count && !in_time; i++) kill(durable.pids[i], SIGKILL);
    durable.on = false;
    answer("\"sent\": %u, \"seen\": %u, \"last_seen_in_time\": %s, \"seconds\": %.4f", clients->sent, durable.seen,
           in_time ? "true" : "false", (double)(now_ns() - start) / 1e9);
}

static void cmd_coverage(void) {
    Coverage none = {0}, *s = clients->seen ? clients->seen : &none;
    answer("\"updates\": %u, \"contiguous\": %u, \"complete\": %d", s->total, s->next, complete_count);
}

static int holding(uint32_t updates) {
    int found = 0;
    for (int i = 0; i < client_count; i++) found += clients[i].seen && clients[i].seen[0].next >= updates;
    return found;
}

static void cmd_await(const char *args) {
    uint32_t updates = 1;
    double seconds = 30;
    sscanf(args, "%u %lf", &updates, &seconds);
    uint64_t start = now_ns(), deadline = start + (uint64_t)(seconds * 1e9);
    int found;
    while ((found = holding(updates)) < client_count && now_ns() < deadline) {
        retry_some(now_ns());
        turn(now_ns() + NS / 100);
    }
    answer("\"clients\": %d, \"complete\": %d, \"seconds\": %.4f", client_count, found,
           (double)(now_ns() - start) / 1e9);
}

static void cmd_gone(const char *args) {
    int code = 0, closed = 0, with_code = 0;
    double seconds = 30;
    uint64_t last = 0;
    sscanf(args, "%d %lf", &code, &seconds);
    uint64_t deadline = now_ns() + (uint64_t)(seconds * 1e9);
    while (open_count && now_ns() < deadline) turn(now_ns() + NS / 100);
    for (int i = 0; i < client_count; i++) {
        Client *c = &clients[i];
        if (c->phase != CLOSED) continue;
        closed++;
        with_code += c->close_code == code;
        if (c->closed_at > last) last = c->closed_at;
    }
    answer("\"clients\": %d, \"gone\": %d, \"with_code\": %d, \"last_at\": %.6f", client_count, closed, with_code,
           (double)last / 1e9);
}

static void run_command(char *line) {
    char *args = strchr(line, ' ');
    args = args ? args + 1 : line + strlen(line);
    if (!strncmp(line, "connect", 7)) cmd_connect(args);
    else if (!strncmp(line, "rate", 4)) cmd_rate(args);
    else if (!strncmp(line, "presence", 8)) cmd_presence(args);
    else if (!strncmp(line, "closed", 6)) cmd_closed(args);
    else if (!strncmp(line, "fill", 4)) cmd_fill(args);
    else if (!strncmp(line, "durable", 7)) cmd_durable(args);
    else if (!strncmp(line, "coverage", 8)) cmd_coverage();
    else if (!strncmp(line, "await", 5)) cmd_await(args);
    else if (!strncmp(line, "gone", 4)) cmd_gone(args);
    else if (!strncmp(line, "quit", 4)) exit(0);
    else die("unknown command: %s", line);
}

static void parse_ports(const char *value) {
    for (char *end = NULL; opt.port_count < 16; value = end + 1) {
        opt.ports[opt.port_count++] = (int)strtol(value, &end, 10);
        if (*end != ',') break;
    }
}

static void parse_options(int argc, char **argv) {
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (!strcmp(name, "--host")) opt.host = value;
        else if (!strcmp(name, "--port")) parse_ports(value);
        else if (!strcmp(name, "--protocol")) opt.hocuspocus = !strcmp(value, "hocuspocus");
        else if (!strcmp(name, "--rooms")) opt.rooms = atoi(value);
        else if (!strcmp(name, "--members")) opt.members = atoi(value);
        else if (!strcmp(name, "--per-wedding")) opt.per_wedding = atoi(value);
        else if (!strcmp(name, "--sources")) opt.sources = atoi(value);
        else if (!strcmp(name, "--chars")) opt.chars = atoi(value);
        else if (!strcmp(name, "--generation")) opt.generation = atoi(value);
        else if (!strcmp(name, "--track")) opt.track = atoi(value);
        else if (!strcmp(name, "--prefix")) opt.prefix = value;
        else if (!strcmp(name, "--queries")) opt.queries = value;
        else if (!strcmp(name, "--by-client")) opt.by_client = atoi(value);
        else if (!strcmp(name, "--guests")) opt.guests = atoi(value);
        else die("unknown option %s", name);
    }
    if (opt.guests) opt.chars = 1; /* one clock per update */
    if (!opt.track) opt.track = opt.generation;
    if (opt.rooms < 1 || opt.rooms > ID_ROOMS || opt.members < 1 || opt.members > ID_MEMBERS) die("too many clients");
    if (opt.chars < 1 || opt.chars > 4096 || opt.per_wedding < 1 || opt.sources < 1 || !opt.port_count) die("option out of range");
}

static void read_queries(void) {
    static char line[QUERY_BYTES];
    FILE *file = fopen(opt.queries, "r");
    if (!file) die("%s: %s", opt.queries, strerror(errno));
    for (int i = 0; i < client_count; i++) {
        if (!fgets(line, sizeof line, file)) die("fewer queries than clients");
        line[strcspn(line, "\n")] = 0;
        clients[i].query = strdup(line);
    }
    fclose(file);
}

int main(int argc, char **argv) {
    parse_options(argc, argv);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    client_count = opt.rooms * opt.members;
    clients = calloc((size_t)client_count, sizeof *clients);
    for (int i = 0; i < client_count; i++)
        clients[i] = (Client){.fd = -1, .room = i / opt.members, .member = i % opt.members};
    if (opt.queries) read_queries();
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, 0, &e);
    static char line[4096];
    for (;;)
        if (turn(now_ns() + NS) && fgets(line, sizeof line, stdin)) run_command(line);
        else if (feof(stdin)) return 0;
}
