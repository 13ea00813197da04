"""Readers: one module a family of formats; each turns an opened file into items."""
