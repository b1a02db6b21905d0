"""The scan: what happens between wake-up and publish, compiled, and the tables that it runs by."""
