"""Simulated devices and the plant that joins them: hardware to test any PLC against.

Each device has its documented register map or node tree, its physics, and a watchdog on the
heartbeat that the line writes. `python -m hw_sim` prints the maps. Nothing here knows a cell.
"""
