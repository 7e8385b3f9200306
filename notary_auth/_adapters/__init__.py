"""The I/O side: what the adapters of all HTTP clients share."""
