"""How record classes and their methods become machine code, and how that code is kept."""
