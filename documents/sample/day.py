"""The documents `wedding` and `timeline`: the frame of the day, who works on it, and its running order."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from documents.invariants.model import Field
from documents.sample.draft import DAY, Account, Author, Draft, number, present
from documents.sample.names import FIRST, LAST, ascii_slug

HARD_END: Final = 24 * 60
RSVP_BY: Final = -30
"""Days from the wedding."""

CURRENCIES: Final = {"GBP": 2, "USD": 2, "EUR": 2, "INR": 2, "JPY": 0}
"""Currency -> decimal places."""

ZONES: Final = {
    "Europe/London": ("en-GB", "GB", "Bath", "51.3811", "-2.3590"),
    "America/New_York": ("en-US", "US", "Rhinebeck", "41.9268", "-73.9126"),
    "Asia/Kolkata": ("en-IN", "IN", "Udaipur", "24.5854", "73.7125"),
    "Pacific/Auckland": ("en-NZ", "NZ", "Queenstown", "-45.0312", "168.6626"),
}
"""Time zone -> locale, country, town, latitude and longitude of the venue."""

SATURDAY: Final = "2027-06-19"
CLOCK_CHANGE: Final = {"America/New_York": "2027-11-06"}
"""Saturdays after whose midnight the clocks change, so that the party crosses it."""

EVENTS: Final = {
    "e_rehearsal": ("Rehearsal dinner", -360, 180, "orangery"),
    "e_ceremony": ("Ceremony", 900, 40, "garden"),
    "e_reception": ("Reception", 1020, 420, "ballroom"),
    "e_brunch": ("Farewell brunch", 2040, 120, "orangery"),
}

# name, kind, how many it holds for every 100 guests, exclusive, rain plan
PLACES: Final = {
    "estate": ("Old Orchard Estate", "venue", 140, False, None),
    "garden": ("Walled garden", "outdoor", 120, True, "orangery"),
    "lake": ("Meadow by the lake", "outdoor", 120, False, "estate"),
    "orangery": ("Orangery", "room", 120, False, None),
    "ballroom": ("Ballroom", "room", 120, False, None),
    "suite": ("Orchard suite", "room", 110, True, None),
}

# category -> name, start and end of the booking
VENDORS: Final = {
    "venue": ("Old Orchard Estate", -DAY, 1740),
    "caterer": ("Salt & Thyme", -480, 1560),
    "photographer": ("Light & Lens", 600, 1440),
    "videographer": ("Eleven Frames", 660, 1440),
    "florist": ("Petal & Stem", 480, 1500),
    "dj": ("Night Shift Sounds", 600, 1530),
    "officiant": ("Rev. Te Whata", -480, 980),
    "hair_makeup": ("Brush & Blush", 450, 780),
    "cake": ("Müller Pâtisserie", 720, 840),
    "transport": ("Silver Coaches", 750, 1470),
    "rentals": ("Tables & Tents", -660, 1620),
    "stationer": ("Ink & Press", 750, 840),
}
SHORTLISTED: Final = {"photographer": "Golden Hour Studio", "venue": "Harbour Hall"}

ROLES: Final = (
    *("couple",) * 2, "planner", "coordinator", "venue", "caterer", "photographer", *("vendor",) * 5, *("family",) * 4,
    *("wedding_party",) * 4, *("guest",) * 4,
)  # fmt: skip


def lay_out(draft: Draft) -> None:
    """The document `wedding` without its members and tasks."""
    chance = draft.chance
    locale, country, town, latitude, longitude = ZONES[draft.zone]
    roots = ("meta", "events", "places", "vendors", "tasks", "members", "board")
    wedding = draft.documents["wedding"] = {root: {} for root in roots}
    places = {each: chance.id("p") for each in PLACES}
    wedding["meta"][""] = {
        "_version": 1, "title": f"{FIRST[0]} & {FIRST[1]}", "date": draft.day(0), "timeZone": draft.zone,
        "currency": chance.pick(list(CURRENCIES)), "locale": locale, "capacity": draft.guests * 130 // 100,
        "hardEnd": HARD_END, "rsvpBy": draft.day(RSVP_BY), "cascade": "propose", "phase": "planning",
    }  # fmt: skip
    for event, (name, start, duration, place) in EVENTS.items():
        wedding["events"][event] = {
            "name": name, "start": start, "duration": duration, "place": places[place], "rsvp": True,
            "capacity": draft.guests * 110 // 100, "visibility": "invited",
        }  # fmt: skip
    for each, (name, kind, share, exclusive, rain_plan) in PLACES.items():
        wedding["places"][places[each]] = present(
            name=name, kind=kind, capacity=draft.guests * share // 100, exclusive=exclusive or None,
            parent=None if each == "estate" else places["estate"],
            address={"line1": "1 Orchard Lane", "city": town, "country": country} if each == "estate" else None,
            location={"latitude": latitude, "longitude": longitude} if each == "estate" else None,
            rainPlan=places[rain_plan] if rain_plan else None,
        )  # fmt: skip
    for category, (name, start, end) in VENDORS.items():
        draft.vendor[category] = _add_vendor(draft, category, name, start, end, chance.pick(("booked", "confirmed")))
    for category, name in SHORTLISTED.items():
        _add_vendor(draft, category, name, 600, 1440, "shortlisted")
    wedding["board"][""] = "Ideas for the first dance:\n* something slow 🎶\n\n" + draft.words(60, 90)
    for root in ("events", "places", "vendors"):
        number(wedding[root].values())


def place_ids(draft: Draft) -> dict[str, str]:
    return dict(zip(PLACES, draft.documents["wedding"]["places"], strict=True))


def _add_vendor(draft: Draft, category: str, name: str, start: int, end: int, stage: str) -> str:
    chance = draft.chance
    vendor = chance.id("v")
    contact = {
        "name": f"{chance.pick(FIRST)} {chance.pick(LAST)}",
        "email": f"hello@{ascii_slug(name)}.example.org",
        "phone": draft.phone(),
    }
    record: dict[str, Any] = {
        "name": name,
        "category": category,
        "organization": chance.id("o"),
        "stage": stage,
        "contact": contact,
    }
    if stage == "shortlisted":
        record["availability"] = [{"start": start, "end": end}]
    else:
        record["bookedWindow"] = {"start": start, "end": end}
        record["dayStatus"] = "expected"
    record["note"] = draft.words(8, 30) if chance.happens(40) else ""
    draft.rows("wedding", "vendors")[vendor] = record
    return vendor


def add_people(draft: Draft) -> None:
    """24 accounts of the ten roles, mirrored in `members`. Needs the guests."""
    chance = draft.chance
    own_role = ("venue", "caterer", "photographer")
    vendors = {category: vendor for category, vendor in draft.vendor.items() if category not in own_role}
    free_vendors = iter(vendors.values())
    guests = draft.rows("guests", "guests")
    party = iter([guest for guest, row in guests.items() if "party" in row])
    # Guests who sign in have a name and are nobody's plus-one.
    unfit = {"party", "plusOneOf", "tag:crew"}
    others = iter(guest for guest, row in guests.items() if "lastName" in row and not row.keys() & unfit)
    for index, role in enumerate(ROLES):
        vendor = draft.vendor[role] if role in own_role else next(free_vendors) if role == "vendor" else None
        guest = next(party) if role == "wedding_party" else next(others) if role in ("family", "guest") else None
        name, side = f"{chance.pick(FIRST)} {chance.pick(LAST)}", None
        if role == "couple":
            name, side = f"{FIRST[index]} {LAST[index]}", "ab"[index]
        elif guest is not None:
            name = f"{guests[guest]['firstName']} {guests[guest]['lastName']}"
            side = guests[guest]["side"]
        elif vendor is not None:
            name = draft.rows("wedding", "vendors")[vendor]["contact"]["name"]
        devices = (chance.id("d"), chance.id("d"))
        email = f"{ascii_slug(name) or 'user'}.{index}@people.example.org"
        draft.people.append(Account(chance.id("u"), role, name, email, vendor, guest, side, devices))
    draft.documents["wedding"]["members"] = {
        each.user: present(role=each.role, name=each.name, vendor=each.vendor, guest=each.guest, side=each.side)
        for each in draft.people
    }


_BY_CATEGORY: Final = (
    ("Compare three offers: {}", -340), ("Read and sign the contract: {}", -300), ("Pay the deposit: {}", -280),
    ("Confirm times and contact for the day: {}", -14),
)  # fmt: skip
_TASKS: Final = (
    "Write the guest list", "Choose the colours", "Send save-the-dates", "Find the dress", "Order the rings",
    "Book the registrar", "Give notice of marriage", "Choose the readings", "Book rooms for family", "Find suits",
    "Order shoes", "Plan the honeymoon", "Check passports", "Send the invitations", "Choose the menu",
    "Taste the cake", "Choose the first dance", "Dance lessons", "Write the vows", "Collect answers",
    "Call those who did not answer", "Draw the seating plan", "Print place cards", "Pack for the honeymoon",
    "Final fitting", "Break in the shoes", "Prepare the tips", "Emergency kit", "Write the speeches",
    "Thank-you notes", "Return the suits", "Choose photographs",
)  # fmt: skip


def add_tasks(draft: Draft) -> None:
    """80 tasks over the twelve months before the wedding; those that were due are done."""
    chance, tasks = draft.chance, draft.rows("wedding", "tasks")
    items = list(draft.rows("timeline", "items"))
    planned = [
        (title.format(VENDORS[category][0]), days + chance.between(-12, 12), vendor)
        for category, vendor in draft.vendor.items()
        for title, days in _BY_CATEGORY
    ]
    for index, title in enumerate(_TASKS):
        planned.append((title, -350 + index * 350 // len(_TASKS) + chance.between(0, 9), ""))
    assignees = [each.user for each in draft.people if each.role in ("couple", "planner", "coordinator")]
    for title, days, vendor in sorted(planned, key=lambda each: each[1]):
        task = present(
            title=title, due=draft.day(days), assignee=chance.pick(assignees), vendor=vendor or None,
            priority=chance.weighted({"low": 20, "normal": 60, "high": 20}),
            item=chance.pick(items) if days > -20 and not vendor else None,
        )  # fmt: skip
        if days < -25:
            task["done"] = {"at": draft.instant((days - 2) * DAY + 1140), "by": task["assignee"]}
        task["note"] = draft.words(6, 25) if chance.happens(15) else ""
        tasks[chance.id("k")] = task
    number(tasks.values())


class _Item(NamedTuple):
    name: str
    start: int
    duration: int
    rigidity: str
    kind: str
    place: str
    vendors: str
    persons: str
    after: str
    title: str


# name(`!` key moment, `*` public) start+duration rigidity kind place vendors persons after(:gap) title
_ITEMS: Final = """
delivery    -600+90  flex   setup     estate   rentals                     -                     -                    Tables and chairs are delivered
stakes      -510+60  flex   setup     garden   rentals                     -                     delivery             The aisle is marked
rehearsal   -420+45  fixed  moment    garden   officiant                   bride,groom,a1,b1     stakes               Rehearsal
rehdinner   -360+150 flex   meal      orangery caterer                     bride,groom,a1,b1     rehearsal:15         Rehearsal dinner
opens       480+30   fixed  setup     estate   venue                       -                     -                    Doors open for vendors
linen       510+60   flex   setup     ballroom rentals                     -                     opens                Tables and linen
chairs      570+45   flex   setup     garden   rentals                     -                     linen                Chairs in the garden
spare1      615+15   buffer setup     -        -                           -                     chairs               Buffer
bouquets    510+60   flex   setup     estate   florist                     -                     opens                Bouquets and buttonholes
arch        630+60   flex   setup     garden   florist                     -                     spare1,bouquets      Flowers on the arch
kitchen     510+75   flex   setup     estate   caterer                     -                     opens                Kitchen sets up
laid        615+45   flex   setup     ballroom caterer                     -                     kitchen:15,linen     Tables are laid
centre      700+40   flex   setup     ballroom florist                     -                     arch:10,laid         Table flowers
sound       630+50   flex   setup     ballroom dj                          -                     linen:30             Sound and lights
check       720+30   flex   setup     garden   dj                          -                     sound:20,arch        Sound check in the garden
cake        745+30   flex   setup     ballroom cake                        -                     centre:5             Cake is delivered and dressed
cards       760+30   flex   setup     ballroom stationer                   -                     centre:15            Place cards and menus
spare2      790+15   buffer setup     -        -                           -                     cards                Buffer
walk        805+20   flex   setup     estate   venue                       -                     spare2,cake          Walk-through with the coordinator
breakfast   450+30   flex   meal      suite    -                           bride,a1,a2,a3        -                    Breakfast in the suite
hair1       480+45   flex   setup     suite    hair_makeup                 a1                    breakfast            Hair and make-up: maid of honour
hair2       525+40   flex   setup     suite    hair_makeup                 a2                    hair1                Hair and make-up: second bridesmaid
hair3       565+40   flex   setup     suite    hair_makeup                 a3                    hair2                Hair and make-up: third bridesmaid
hairbride   610+90   flex   setup     suite    hair_makeup                 bride                 hair3:5              Hair and make-up: bride
spare3      700+15   buffer setup     -        -                           -                     hairbride            Buffer
dress!      735+30   flex   photo     suite    photographer                bride                 spare3:15            Dress on
bfast2      540+40   flex   meal      estate   -                           groom,b1,b2,b3        -                    Breakfast of the groom's party
suits       645+40   flex   setup     estate   -                           groom,b1,b2,b3        bfast2:30            Suits and buttonholes
ushers      690+30   flex   photo     lake     photographer                groom,b1,b2           suits:5              Portraits of the groom and ushers
details     645+30   flex   photo     estate   photographer                -                     bouquets:30          Rings, shoes, invitations
drone       690+30   flex   photo     estate   videographer                -                     -                    Views of house and grounds
firstlook!  775+20   flex   photo     lake     photographer,videographer   bride,groom           dress:10,ushers      First look
portraits   795+30   flex   photo     lake     photographer                bride,groom           firstlook            Portraits of the couple
partyphoto  825+20   flex   photo     lake     photographer                bride,groom,a1,a2,b1,b2 portraits          Portraits with the wedding party
spare4      845+15   buffer photo     -        -                           -                     partyphoto           Buffer
coach1      780+30   fixed  transport estate   transport                   -                     -                    Coaches from the hotels
welcome*    830+40   flex   meal      orangery caterer                     -                     coach1:10            Guests arrive, lemonade
seated*     870+25   flex   moment    garden   dj                          -                     welcome,check        Guests are seated, prelude
ceremony!*  900+40   fixed  moment    garden   officiant,photographer,videographer bride,groom,a1,b1 seated:5,spare4  Ceremony
confetti*   940+15   flex   photo     garden   photographer                bride,groom           ceremony             Confetti
register    955+10   flex   moment    estate   officiant                   bride,groom           confetti             Signing of the register
cocktails!* 955+60   flex   meal      orangery caterer                     -                     confetti             Drinks and canapés
familya     970+15   flex   photo     lake     photographer                bride,groom           register:5           Family portraits, first side
familyb     985+15   flex   photo     lake     photographer                bride,groom           familya              Family portraits, second side
moved       960+30   flex   setup     ballroom florist                     -                     ceremony:20          Arch flowers move to the ballroom
spare5      1000+15  buffer photo     -        -                           -                     familyb              Buffer
call*       1020+15  fixed  moment    ballroom venue                       -                     cocktails:5          Guests take their seats
entrance!*  1035+10  fixed  moment    ballroom dj,photographer             bride,groom           call,spare5          Entrance
speech1*    1045+15  flex   moment    ballroom -                           b3                    entrance             Welcome
starter*    1060+30  flex   meal      ballroom caterer                     -                     speech1              First course
crewmeal    1105+30  flex   meal      estate   photographer,videographer   -                     starter:15           Vendor meals
main*       1100+45  fixed  meal      ballroom caterer                     -                     starter:10           Main course
toasts!*    1150+25  flex   moment    ballroom photographer                a1,b1                 main:5               Toasts
dessert*    1175+25  flex   meal      ballroom caterer                     -                     toasts               Dessert
spare6      1200+15  buffer meal      -        -                           -                     dessert              Buffer
cut!*       1215+10  fixed  moment    ballroom photographer                bride,groom           spare6               Cake
sunset      1225+15  flex   photo     lake     photographer                bride,groom           cut                  Portraits at sunset
dance!*     1245+10  fixed  moment    ballroom dj,photographer             bride,groom           sunset:5             First dance
parents*    1255+10  flex   moment    ballroom dj                          bride,groom           dance                Dances with the parents
floor*      1265+80  flex   moment    ballroom dj                          -                     parents              Dancing
snacks*     1300+40  flex   meal      orangery caterer                     -                     -                    Late snacks
spare7      1345+15  buffer moment    -        -                           -                     floor                Buffer
lastdance!* 1400+10  fixed  moment    ballroom dj                          bride,groom           spare7:10            Last dance
farewell*   1410+15  fixed  moment    garden   videographer                bride,groom           lastdance            Sparklers and farewell
coach2*     1425+15  fixed  transport estate   transport                   -                     farewell             Coaches to the hotels
packmusic   1440+60  flex   breakdown ballroom dj                          -                     coach2               Music is packed
packkitchen 1440+60  flex   breakdown estate   caterer                     -                     coach2               Kitchen is packed
packflowers 1440+30  flex   breakdown ballroom florist                     -                     coach2               Flowers are collected
packtables  1500+75  flex   breakdown ballroom rentals                     -                     packmusic            Tables and chairs are collected
closes      1590+30  flex   breakdown estate   venue                       -                     packtables:15,packkitchen Doors are locked
"""  # noqa: E501


def _item(line: str) -> _Item:
    name, span, rigidity, kind, place, vendors, persons, after, title = line.split(None, 8)
    start, duration = span.rsplit("+", 1)
    return _Item(name, int(start), int(duration), rigidity, kind, place, vendors, persons, after, title)


def _listed(cell: str) -> list[str]:
    return [] if cell == "-" else cell.split(",")


def run_the_day(draft: Draft) -> None:
    """The document `timeline`: 70 items. Needs places, vendors and the wedding party."""
    chance = draft.chance
    places = place_ids(draft)
    party = [guest for guest, row in draft.rows("guests", "guests").items() if "party" in row]
    persons = {"bride": "bride", "groom": "groom"}
    persons |= {f"a{index + 1}": guest for index, guest in enumerate(party[:3])}
    persons |= {f"b{index + 1}": guest for index, guest in enumerate(party[3:6])}
    planned = [_item(line) for line in _ITEMS.strip().splitlines()]
    ids = {item.name.rstrip("!*"): chance.id("i") for item in planned}
    draft.documents["timeline"] = {"meta": {"": {"_version": 1}}, "items": {}, "emergencies": {}}
    items = draft.rows("timeline", "items")
    for item in planned:
        record: dict[str, Any] = {
            "title": item.title, "start": item.start, "duration": item.duration, "rigidity": item.rigidity,
            "kind": item.kind, "status": "planned", "track": _track(item),
            "visibility": "public" if "*" in item.name else "private" if item.place == "suite" else "team",
        }  # fmt: skip
        if item.rigidity != "fixed":
            record["minDuration"] = 0 if item.rigidity == "buffer" else item.duration * 2 // 3
        if "!" in item.name:
            record["keyMoment"] = True
        if item.place != "-":
            record["place"] = places[item.place]
        record |= {f"vendor:{draft.vendor[each]}": True for each in _listed(item.vendors)}
        record |= {f"person:{persons[each]}": True for each in _listed(item.persons) if each in persons}
        for each in _listed(item.after):
            before, _, gap = each.partition(":")
            record[f"after:{ids[before]}"] = int(gap or 0)
        for each in _listed(item.vendors):
            if chance.happens(15):
                record[f"vendorNote:{draft.vendor[each]}"] = draft.words(4, 12)
        record["note"] = draft.words(6, 30) if chance.happens(30) else ""
        items[ids[item.name.rstrip("!*")]] = record
    number(items.values())


def _track(item: _Item) -> str:
    if item.kind in ("setup", "breakdown") and item.place != "suite":
        return "Vendors"
    if item.place == "suite":
        return "Bride's party"
    return "Groom's party" if "b2" in item.persons and "bride" not in item.persons else "Everybody"


def couple_wrote_the_frame(draft: Draft) -> None:
    """Date, time zone and currency are the couple's to change."""
    for key in ("date", "timeZone", "currency"):
        draft.written[Field("wedding", "meta", "", key)] = Author(draft.user("couple"), "couple", -340 * DAY)


def neighbour(draft: Draft) -> None:
    """The document `wedding` of other people on the same day, who booked vendors of other organizations."""
    meta = draft.documents["wedding"]["meta"][""]
    vendors = {
        draft.chance.id("v"): {
            "name": f"{draft.chance.pick(LAST)} & Co", "category": category, "organization": draft.chance.id("o"),
            "stage": "quoted", "bookedWindow": {"start": start, "end": end}, "note": "",
        }
        for category, (_, start, end) in VENDORS.items()
    }  # fmt: skip
    number(vendors.values())
    shared = {key: meta[key] for key in ("date", "timeZone", "currency")}
    draft.neighbour = {"meta": {"": {"_version": 1, "title": "Somebody else's wedding", **shared}}, "vendors": vendors}
