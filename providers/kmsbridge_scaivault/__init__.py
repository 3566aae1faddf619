"""ScaiVault."""
