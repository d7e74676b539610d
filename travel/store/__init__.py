"""Our database: tables and transactions, requests, inventory, what is held, seed data."""
