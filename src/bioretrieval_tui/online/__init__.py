"""The network: one HTTP client, and what is fetched with it."""
