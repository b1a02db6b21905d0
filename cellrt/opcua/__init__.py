"""The line as an OPC UA server: what SCADA and MES systems see of it, and what they may ask of it.

Reading never reaches the scan: the server shows the last snapshot. Asking goes one way, as a
command through the scan's queue, and the answer that a client gets is the scan's own.
"""
