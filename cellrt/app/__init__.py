"""Where everything is joined: the command line and what it starts."""
