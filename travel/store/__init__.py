"""Our database: where it is, tables and transactions, requests, inventory, holdings, accounts."""
