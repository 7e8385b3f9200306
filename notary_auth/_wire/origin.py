"""Origins (RFC 6454): which scheme, host and port a URL belongs to, and nothing else.

Who gets the token is decided here, so the grammar is strict on purpose: two parsers that disagree about a host
are a leak. What this one does not take for plain is nobody's origin, and goes out unsigned. The URLs that come
in are those the client has prepared already (IDNA-encoded, percent-encoded), as it will send them.
"""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple

MAX_BASE_URL = 300  # characters; a host name has 253 at most

_DEFAULT_PORTS = {"https": 443, "http": 80}

# ASCII matters: without it, IGNORECASE lets U+017F pass for an s and U+212A for a k.
_FLAGS = re.VERBOSE | re.IGNORECASE | re.ASCII | re.DOTALL
_ORIGIN = r"""
    (?P<scheme>https?)://
    (?P<userinfo>[a-z0-9._~!$&'()*+,;=:%-]*@)?
    (?P<host>[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?|\[[0-9a-f:.]+\])
    (?::(?P<port>[0-9]{0,5}))?
    (?P<rest>[/?\#].*)?
    """

_REST = re.compile(r"[/?#]")

# What a host of this form is, is an IPv4 address to some parsers (0x7f.1) and a name to others (WHATWG URL, "ends
# in a number").
_ENDS_IN_NUMBER = r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)"


class Origin(NamedTuple):
    """Scheme, host and port, normalized: lower case, no default port, no trailing dot, IPv6 without brackets."""

    scheme: str
    host: str
    port: int | None

    @classmethod
    def of(cls, url: str) -> "Origin | None":
        """The origin of a prepared URL, or None where it is not beyond doubt."""
        match = re.fullmatch(_ORIGIN, url, _FLAGS)
        return None if match is None else cls._normalized(match["scheme"], match["host"], match["port"])

    @classmethod
    def of_base_url(cls, url: str) -> "Origin":
        """The origin that a base URL consists of: scheme, host and port, and at most one slash behind them.

        Raises:
            ValueError: saying what is wrong, without quoting the URL (a password may stand in it).
        """
        if len(url) > MAX_BASE_URL:  # before anything is decoded, which takes the square of a name's length
            raise ValueError(f"is longer than {MAX_BASE_URL} characters")
        match = re.fullmatch(_ORIGIN, _idna_encoded(url), _FLAGS)
        if match is None:
            raise ValueError("must be an https URL of a host, such as https://cloud.acronis.com")
        if match["userinfo"] is not None:
            raise ValueError("must not have a user name or password in it")
        if match["rest"] not in (None, "/"):
            raise ValueError("must not have a path, query or fragment")
        origin = cls._normalized(match["scheme"], match["host"], match["port"])
        if origin is None or not _is_idna(origin.host):
            raise ValueError("has an impossible host or port")
        return origin

    @classmethod
    def _normalized(cls, scheme: str, host: str, port: str | None) -> "Origin | None":
        scheme = scheme.lower()
        if host.startswith("["):
            address = _address(host[1:-1])
            if not isinstance(address, IPv6Address):
                return None
            host = address.compressed
        else:
            host = host.lower().removesuffix(".")
            if re.fullmatch(_ENDS_IN_NUMBER, host) and _address(host) is None:
                return None
        number = int(port) if port else _DEFAULT_PORTS[scheme]
        if not 0 < number < 65536:
            return None
        return cls(scheme, host, None if number == _DEFAULT_PORTS[scheme] else number)

    @property
    def netloc(self) -> str:
        """Host and port as they stand in a URL and in the ``Host`` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}"

    @property
    def is_secure(self) -> bool:
        """Whether a password may be sent there: over TLS, or not leaving this machine."""
        address = _address(self.host)
        is_loopback = self.host == "localhost" or (address is not None and address.is_loopback)
        return self.scheme == "https" or is_loopback

    def readdress(self, url: str) -> str:
        """`url` (one that has an origin) with this origin instead: same path, query and fragment."""
        rest = _REST.search(url, url.find("://") + 3)
        if rest is None:
            return f"{self}/"
        return f"{self}{'' if rest[0] == '/' else '/'}{url[rest.start() :]}"


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a host is, if it is written so that it means the same to every parser."""
    try:
        return IPv6Address(host) if ":" in host else IPv4Address(host)
    except AddressValueError:
        return None


def _is_idna(host: str) -> bool:
    """Whether all labels that say they are encoded names are: clients decode them, and stumble over others."""
    labels = [label for label in host.split(".") if label.startswith("xn--")]
    if not labels:
        return True
    import idna

    try:
        return all(map(idna.decode, labels))
    except idna.IDNAError:
        return False


def _idna_encoded(url: str) -> str:
    """`url` with a host name in other than ASCII letters as DNS has it (RFC 5891, mapped by UTS 46)."""
    if url.isascii():
        return url
    import idna  # rarely needed, and its tables are large

    start, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    name, colon, port = host.partition(":")
    try:
        return f"{start}://{idna.encode(name, uts46=True).decode()}{colon}{port}{slash}{path}"
    except idna.IDNAError:
        return ""
