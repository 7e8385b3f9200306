"""What means ill: URLs made to look like the account's data center, and a platform that sends people to them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence

from .dry import Answered, Sent

HOST = "eu2-cloud.acronis.com"
EVIL = "evil.example"
HOME = f"https://{HOST}"
OWN = ("https", HOST, 443)
PASSWORD = "qwe123QWE"
TOKEN = "eyJ0eXAi-the-only-token"

# What may stand between two hosts and make parsers disagree about which of them is meant.
BETWEEN = [
    "", "@", ".", "..", "/", "//", "\\", "\\\\", "?", "#", ":", ";", ",", "&", "=", "+", "~", "|", "^", "`", "{", "}",
    "<", ">", '"', "'", "*", "(", ")", "[", "]", "!", "$", " ", "\t", "\n", "\r", "\r\n", "\0", "\x0b", "\x7f", "\xa0",
    "%00", "%09", "%0a", "%0d%0a", "%20", "%23", "%2e", "%2f", "%3a", "%3f", "%40", "%5c", "%252f", "%2540", "%ff",
    "%", "%zz", "。", "．", "｡", "／", "＼", "？", "＃", "＠", "：", "％", "\u200b", "\u200d", "\u00ad", "\u2060", "\ufeff",
    "\u2028", "\u2044", "\u2215", "\u29f8", "\u202e", "\u0338", "\ud800",
]  # fmt: skip

# What may stand where a port does.
PORTS = [
    "", ":", ":443", ":0443", ":000443", ":0", ":80", ":444", ":65535", ":65536", ":65979", ":4294967739", ":443443",
    ":-443", ":+443", ": 443", ":443 ", ":4 43", ":0x1bb", ":4e2", ":４４３", ":٤٤٣", ":443:80", ":443@", ":443\\",
    ":443%20", ":443?", ":443#", ":443\t", ":\n443",
]  # fmt: skip

# The data center's name, and what looks like it.
NAMES = [
    HOST, HOST.upper(), "EU2-Cloud.Acronis.Com", f"{HOST}.", f"{HOST}..", f".{HOST}", "eu2-cloud..acronis.com",
    "eu2-cloud.acronis.com.evil.example", "evil-eu2-cloud.acronis.com", "eu2-cloud.acronis.community",
    "eu2-cloud.acronis.co", "eu2-cloud.acronis", "acronis.com", "eu2_cloud.acronis.com", "eu2cloud.acronis.com",
    "eu2-cloud-acronis.com", "%65u2-cloud.acronis.com", "eu2-cloud%2eacronis.com", "eu2-cloud.acronis%2ecom",
    "eu2-cloud.acron\u0131s.com", "eu2-cloud.acroni\u017f.com", "eu2-\u212aloud.acronis.com", "eu2-clou\u0501.acronis.com",
    "\u0435u2-cloud.acronis.com", "eu2\u2010cloud.acronis.com", "eu2\uff0dcloud.acronis.com",
    "\uff45\uff55\uff12-cloud.acronis.com", "eu2-cloud.acronis.c\u24de\u24dc", "eu\u00b2-cloud.acronis.com",
    "eu2-cloud\u3002acronis\u3002com", "xn--eu2-cloud.acronis.com", "eu2-cloud.xn--acronis.com", "eu2-cloud.acronis.com\u200b",
    "[eu2-cloud.acronis.com]", "[::1]", "[::ffff:127.0.0.1]", "[0:0:0:0:0:0:0:1]", "[fe80::1%25eth0]", "[v1.eu2]", "[",
    "[]", "::1", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "",
]  # fmt: skip

SCHEMES = [
    "https://", "HTTPS://", "hTTps://", "http://", "https:", "https:/", "https:///", "https:\\\\", "https:/\\", "//", "/",
    "\\\\", "", "ftp://", "ws://", "wss://", "file://", "https+x://", "https\t://", " https://", "https ://", "ht\ntps://",
    "javascript:", "blob:https://", "view-source:https://", "http+unix://",
]  # fmt: skip


def tricky_urls() -> list[str]:
    """More than a thousand of them, most wrong, all different."""
    return list(dict.fromkeys(_tricky_urls()))


def _tricky_urls() -> Iterator[str]:
    for between in BETWEEN:
        for first, last in ((HOST, EVIL), (EVIL, HOST)):
            yield f"https://{first}{between}{last}/"
            yield f"https://{first}{between}@{last}/x"
            yield f"https://{first}@{between}{last}/x"
            yield f"https://{first}:443{between}{last}"
            yield f"https://user{between}:{first}@{last}/"
        yield f"https://{HOST}{between}"
        yield f"https://{HOST}{between}/api/notary/v2/stored-files"
        yield f"https://{between}{HOST}/"
    for name, port in itertools.product(NAMES, PORTS[:8]):
        yield f"https://{name}{port}/"
    for name, port in itertools.product((HOST, EVIL), PORTS):
        yield f"https://{name}{port}/x"
        yield f"https://{EVIL}@{name}{port}/x"
    for scheme, host in itertools.product(
        SCHEMES, (HOST, EVIL, f"{HOST}@{EVIL}", f"{EVIL}@{HOST}", "cloud.acronis.com")
    ):
        yield f"{scheme}{host}/x"


class HostilePlatform:
    """The cloud and the data center as they should be; every other host, and every path `leading` somewhere,
    sends people on. Keeps a record of where what was sent.

    Args:
        chain: where the requests that are not control calls are sent on to, one after the other; at its end they
            are answered by a 200.
        status: of the redirects.
    """

    def __init__(self, chain: Sequence[str] = (), status: int = 302) -> None:
        self.sent: list[Sent] = []
        self._left = list(chain)
        self._status = status

    def __call__(self, sent: Sent) -> Answered:
        self.sent.append(sent)
        path = sent.path.partition("?")[0]
        if sent.origin == ("https", "cloud.acronis.com", 443) and path == "/api/1/accounts":
            return _json({"server_url": HOME})
        if sent.origin == OWN and path == "/api/2/idp/token":
            return _json({"access_token": TOKEN, "token_type": "bearer", "expires_in": 7200})
        if self._left:
            location = self._left.pop(0)
            return Answered(self._status, {"Location": location}, b"")
        # Another host that asks for credentials gets none either.
        return Answered(200 if sent.origin == OWN else 401, {"WWW-Authenticate": "Bearer"}, b"{}")

    def leaks(self) -> list[Sent]:
        """What was sent to whom it is none of the business of."""
        return [
            sent
            for sent in self.sent
            if sent.origin != OWN
            and (sent.authorization is not None or TOKEN in str(sent) or PASSWORD in str(sent))
        ]


def _json(document: object) -> Answered:
    return Answered(200, {"Content-Type": "application/json"}, json.dumps(document).encode())
