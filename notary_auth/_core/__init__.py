"""The rules. No I/O and no HTTP client: everything here is told the time and told what came back."""
