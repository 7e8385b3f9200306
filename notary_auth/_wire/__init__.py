"""The platform's protocol: control requests, what their responses mean, and origins. Pure functions, no I/O."""
