"""Coverage-guided fuzzing of what strangers can send: replies, URLs, redirects. See `fuzz.__main__`."""
