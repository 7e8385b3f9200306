"""The platform on this machine, for the demo, for our tests and for yours: real HTTP over loopback.

    from notary_auth.sandbox import Sandbox

    with Sandbox() as notary:
        auth = NotaryAuth(notary.username, notary.password, cloud_url=notary.url)
        requests.get(f"{notary.api_url}/stored-files", auth=auth)
        assert notary.count("login") == 1

A cloud, two data centers and a foreign host, each an origin of its own. It needs the extra ``sandbox``.
"""

from notary_auth._extras import missing_extra

try:
    from ._model import Account, Call, Faults
    from ._sandbox import Sandbox
except ModuleNotFoundError as error:
    raise missing_extra("sandbox", error) from None

__all__ = ["Account", "Call", "Faults", "Sandbox"]
