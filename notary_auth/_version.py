"""The version, in its one place: setup.cfg, the User-Agent and ``notary_auth.__version__`` read it here."""

__version__ = "0.1.0"
