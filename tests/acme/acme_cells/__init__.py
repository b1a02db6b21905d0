"""ACME's machines as cells: one file a cell, its device map beside it."""
