"""A log message without its variables: what may be shown of it, and what makes two messages the same."""

from __future__ import annotations

import re

LONGEST = 200
# Quoted text, however it is quoted; a quote that was never closed (a truncated line) hides the rest of the line.
_QUOTED = re.compile(
    r'"(?:\\.|[^"\\])*(?:"|$)|`[^`]*(?:`|$)|“[^”]*(?:”|$)|„[^“”]*(?:[“”]|$)|«[^»]*(?:»|$)|‘[^’]*(?:’|$)'
    r"|(?<![A-Za-z])'[^'\n]*(?:'(?![A-Za-z])[^'\n]*)??(?:'(?![A-Za-z])|$)"
)
_STRUCTURES = (
    (re.compile(r"(?i)\b[a-z][a-z+.-]{1,15}://\S*"), "<url>"),
    (re.compile(r"\S*@\S*"), "<mail>"),
    (re.compile(r"[{\[].*(?:[}\]]|$)"), "<value>"),
    (re.compile(r"=\s*\([^()]*(?:\)|$)"), "=<value>"),
    (re.compile(r"(?<=[\w)])=(?!<value>)[^\s,;)<>]+"), "=<value>"),
)
_TOKEN = re.compile(r"[^\W_][\w.+-]*|_[\w.+-]*")
# Words that begin with a capital, or consist of them, and are no name of a person: what errors are written in.
_WORDS = """
    a aborted access after all an and api app appointment argument at auth authentication authorisation authorization bad bearer body
    boot boundary buffer call caller cannot client closed column command conflict connect connection constraint content context cors
    could create data database date deadlock debug delete denied deno deployment detail details dns does duplicate edge empty end
    entity error event exceeded exception execute execution exhausted expected expired failed failure fatal fetch field file firebase
    firestore for forbidden foreign format found from function gateway get got handler header hint host http https id in info input
    insert internal invalid is it json jwk jwks jwt key limit line lock log malformed memory merge message method missing module name
    network no not null number object of on operation option or out over panic param parameter parse parsing password patch path
    patient payload permission pgrst policy pool post postgres postgresql process promise property provider put query range read
    record reference refused rejected relation request required reset resource response result retry rls role row rpc schema select
    server service session signature size sql ssl stack state statement status string subject supabase syntax table tcp the there this
    timed timeout tls to token too transaction trigger type unable unauthorized uncaught undefined unexpected unhandled unique unknown
    unsupported update uri url user uuid value warn warning was we when while with worker write wrong you your
"""
_KNOWN = frozenset(_WORDS.split())
_KIND = re.compile(r"(?:[A-Z][a-z]+)+(?:Error|Exception|Failure|Timeout|Warning)")
_CODE = re.compile(r"[A-Z]+(?:_[A-Z]+)+")


def template(message: str) -> str:
    """The first line of *message* with ids, numbers, quoted text, addresses, values and unknown names replaced.

    No digit and no quoted text is left, nor a capitalised word that is not one errors are made of. At most 200 characters.
    """
    line = next((line.strip() for line in message.splitlines() if line.strip()), "")
    # what stands between the quotes goes first: it may look like anything
    line = _QUOTED.sub("<text>", line)
    for pattern, replacement in _STRUCTURES:
        line = pattern.sub(replacement, line)
    line = _TOKEN.sub(_replaced, line)
    line = "".join(character for character in line if not character.isnumeric())
    line = " ".join(re.sub(r"[\"'`“”„«»‘’]", "", line).split())
    line = re.sub(r"(<name>)(?:[\s,.]*<name>)+", r"\1", line)
    return line if len(line) <= LONGEST else line[: LONGEST - 2].rsplit(" ", 1)[0] + " …"


def _replaced(found: re.Match[str]) -> str:
    token = found[0]
    bare = token.rstrip(".+-")
    tail = token[len(bare) :]
    if any(character.isnumeric() for character in bare):
        return ("<number>" if re.fullmatch(r"[+-]?[\d.,]+[a-z]{0,3}", bare) else "<id>") + tail
    if not bare.isascii():
        return "<name>" + tail
    if bare == bare.lower() or bare.lower() in _KNOWN or _KIND.fullmatch(bare) or _CODE.fullmatch(bare):
        return token
    # lowerCamelCase and dotted names are code, Words-With-Capitals are anybody's
    parts = re.split(r"[.-]", bare)
    if all(part == part.lower() or part.lower() in _KNOWN or re.fullmatch(r"[a-z]+(?:[A-Z][a-z]+)+", part) for part in parts):
        return token
    return "<name>" + tail
