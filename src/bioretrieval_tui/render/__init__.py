"""Rows to text: table, markdown, json, jsonl, csv and bibtex, one pure module a format."""
