"""The ledger with one safeguard less, many times over: what the test suites must notice. Not deployed."""
