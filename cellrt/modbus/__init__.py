"""Modbus TCP, the server's side: frames and requests for whoever serves, and the line as a server.

The drivers, which are clients, share nothing with it: the two ends of a test cannot share an error.
"""
