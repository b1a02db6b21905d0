"""For those who test cells: a pytest plugin with lines in virtual time."""
