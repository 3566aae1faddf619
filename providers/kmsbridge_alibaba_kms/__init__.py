"""Alibaba Cloud KMS."""
