"""Words and figures in the forms that signs, shops, prices and titles have them.

The marks are drawn; the label of a text is made of the alphabet's characters in it alone.
"""

from __future__ import annotations

import random
from typing import Sequence, Tuple

WORD, SECOND, CAPITAL, DIGIT, FIRST = "◇◆△□■"
"""What a form leaves open:

two words, a capital letter, a digit, and a digit from 1.
"""

# A form that is common stands here twice.
_AFTER = (
    "◇. ◇. ◇, ◇, ◇! ◇! ◇!! ◇? ◇: ◇: ◇; ◇... ◇… ◇” ◇\" ◇’ ◇' ◇) ◇) ◇] ◇* ◇™ ◇® ◇- ◇– ◇/ ◇+ ◇,” ◇.”"
    " ◇!” ◇.) ◇?!"
).split()
_BEFORE = "“◇ “◇ \"◇ ‘◇ '◇ (◇ (◇ [◇ #◇ @◇ $◇ &◇ -◇ –◇ •◇ *◇ +◇ /◇ ...◇ ·◇ ©◇ ¡◇ ~◇".split()
_AROUND = '“◇” “◇” "◇" "◇" ‘◇’ \'◇\' (◇) (◇) [◇] *◇* -◇- «◇» ·◇· ~◇~ <◇> •◇•'.split()
_BETWEEN = "◇-◆ ◇-◆ ◇-◆ ◇/◆ ◇&◆ ◇+◆ ◇.◆ ◇·◆ ◇:◆ ◇_◆ ◇,◆ ◇–◆ ◇@◆ ◇*◆ ◇•◆".split()
_APOSTROPHE = (
    "◇'s ◇'s ◇’s ◇’s ◇'S ◇`s ◇s' ◇'t ◇n't ◇n’t ◇'ll ◇'re ◇’re ◇'ve ◇'d ◇'m ◇in' ◇´s O'◇ o’◇ d'◇"
    " L'◇ '◇"
).split()
_WEB = (
    "www.◇.com www.◇.com ◇.com ◇.com .com ◇.org ◇.net ◇.co.uk .co.in ◇.in ◇◆.com www.◇◆.com"
    " www.◇.org ◇@◆.com @◇.com http://◇ ◇.html ◇.de ◇.ca ◇.tv ◇.info #◇◆ @◇_◆"
).split()
_INITIALS = (
    "△.△. △.△. △.△.△. △. △& △&△ △-△ △/△ △.◇ △'◇ △-◇ ◇-△ St.◇ Dr. Mr. Mrs. St. Co. Inc. Ltd. Pvt."
    " No. Rd. Ave. P.O. U.S.A. U.K. a.m. p.m. P.M. vs. etc."
).split()

_PRICES = (
    "$■ $■□ $■□□ $■.□□ $■.□□ $■□.□□ $■,□□□ £■ £■.□□ £■□ £■□□ €■□ €■.□□ €■,□□ ■.□□€ ■□€ ■□¢ ■,□□"
    " ■.□□ ■□.□□ ■.99 $■.99 Rs.■□ Rs.■□□ Rs.■□/- ■□/- ¥■□□ ₹■□□ ■,□□□ ■□,□□□ ■,□□□,□□□ ■□□% ■□%"
    " ■□% -■□% +■□% ■% ■.□%"
).split()
_TIMES = (
    "■:□□ ■:□□ ■□:□□ ■:□□am ■:□□pm ■:□□PM ■am ■pm ■PM ■AM ■-■ ■am-■pm ■.□□ ■:□□-■:□□ 24/7 24x7"
    " ■/■/□□ ■/■□/□□ □□/□□/20□□ ■.■.20□□ □□.□□.□□ 20□□-□□-□□ '□□ ’□□s 19□□s 19□□-□□ (20□□) 20□□."
    " ■-■□ ■□-■□ 19□□ 20□□ 20□□"
).split()
_PHONES = (
    "■□□-□□□□ ■□□-□□□□ (■□□) (■□□)□□□-□□□□ ■□□-□□□-□□□□ ■□□.□□□.□□□□ 1-800-□□□-□□□□ 1-800-◇"
    " 1-800 +■□□□□□□□□□ ■□□□□□□□□□ ■□□□□□□□ ■□□□□-□□□□□ 0□□-□□□□ 0□□□□□□ □□□□□ □□□□□-□□□□"
).split()
_PLATES = (
    "△△□□△△△ △△△-□□□ △△△□□□ □△△△□□□ △△-□□-△△ △△-□□-△△-□□□□ △△□□□□ △-□□□□ △□ △■□ △■□ △-■ △■"
    " ■△ ■□△ ■□-△ △△■ △△-■□ △△△□ △■△ ■△■ 3D 4WD A4 B2B MP3 H1N1 M■□ A■ I-■□ US-■□□ I■□ ◇■ ◇■□"
    " ◇20□□ ■◇ ◇-■"
).split()
_NUMBERS = (
    "#■ #■□ №■ No.■ No.■□ No■ ■. ■) (■) ■□. ■: ■.□ ■□.□ ■/■ 1/2 1/4 3/4 ■+■ ■x■ ■×■ ■+ ■□+ ■□°"
    " ■□°C ■□°F -■□° ■km ■□km ■□□KM ■□m ■.□m ■□□ml ■kg ■□kg ■□□g ■□mm ■L ■lb ■□oz ■□mph ■□W ■□□V"
    ' ■□□cc ■□" ■\'■" ■□x■□ ■M ■□□M ■K ■GB ■□□GB ■hp ■D <■ >■ ~■ *■ ■* ■□-□□□ ■st ■nd ■rd ■th ■□th'
    " ■□TH ■□th"
).split()

_RAISED = (
    ("■□", "th"),
    ("■□", "th"),
    ("■", "st"),
    ("■", "nd"),
    ("■", "rd"),
    ("■□", "TH"),
    ("$■", "□□"),
    ("$■□", "□□"),
    ("■", "99"),
    ("£■.", "□□"),
    ("◇", "TM"),
    ("◇", "®"),
    ("M", "c"),
)

_DRESSES: Tuple[Tuple[int, Sequence[str]], ...] = (
    (5, _AFTER),
    (4, _BEFORE),
    (3, _AROUND),
    (3, _BETWEEN),
    (4, _APOSTROPHE),
    (2, _WEB),
    (2, _INITIALS),
)
_FIGURES: Tuple[Tuple[int, Sequence[str]], ...] = (
    (4, _PRICES),
    (3, _TIMES),
    (2, _PHONES),
    (3, _PLATES),
    (3, _NUMBERS),
)


def dress(rng: random.Random) -> str:
    """Draw a form of a word with marks before, inside or after it."""
    return _drawn(_DRESSES, rng)


def figure(rng: random.Random) -> str:
    """Draw a form of a price, a time, a date, a phone number, a plate or a measure."""
    return _drawn(_FIGURES, rng)


def raised(rng: random.Random) -> Tuple[str, str]:
    """Draw a form whose second part stands raised and small: an ordinal, cents, a trade mark."""
    return rng.choice(_RAISED)


def fill(form: str, words: Sequence[str], rng: random.Random) -> str:
    """Return a form with its open places filled: with these words, and with digits and capitals
    at random.
    """
    filled = []
    for character in form:
        if character == WORD:
            filled.append(words[0])
        elif character == SECOND:
            filled.append(words[1])
        elif character == CAPITAL:
            filled.append(chr(rng.randint(ord("A"), ord("Z"))))
        elif character == DIGIT:
            filled.append(str(rng.randint(0, 9)))
        elif character == FIRST:
            filled.append(str(rng.randint(1, 9)))
        else:
            filled.append(character)
    return "".join(filled)


def _drawn(kinds: Sequence[Tuple[int, Sequence[str]]], rng: random.Random) -> str:
    kind = rng.choices(kinds, [share for share, _ in kinds])[0]
    return rng.choice(kind[1])
