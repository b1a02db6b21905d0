"""The shipped cells: one file a cell, one device map and one line file beside them."""
