"""The processes of a running line: a watcher, and under it scan, io, brain, scada and simulated devices."""
