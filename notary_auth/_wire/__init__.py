"""The platform's protocol: control requests, what their responses mean, and origins. Pure functions, no I/O.

The paths of its calls are here, since they are needed before the first of them.
"""

LOOKUP_PATH = "/api/1/accounts"
TOKEN_PATH = "/api/2/idp/token"
REVOKE_PATH = "/api/2/idp/revoke_token"
API_PATH = "/api/notary/v2"
