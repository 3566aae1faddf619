"""Azure Cosmos DB under a customer-managed key."""
