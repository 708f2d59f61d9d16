"""The production ledger in a world of virtual time and seeded faults, judged by a naive model of it. Not deployed."""
