"""Coverage-guided fuzzing of what other hosts can send: replies, URLs, redirects. See `fuzz.__main__`."""
