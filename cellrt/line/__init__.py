"""The line file and the device maps: read, checked whole, and made into one `LineSpec`.

```toml
[line]
name = "print-station"
period_ms = 10                     # base scan period, 0.2 to 1000 ms; divides a second
seed = 1                           # of every simulated chance
unattended = false                 # may restart by itself when armed locally

[devices.coupler]
map = "coupler.toml"               # beside this file, else beside the module of one of the cells
address = "192.168.1.20:502"       # OPC UA: "opc.tcp://192.168.1.30:4840"
poll_ms = 10                       # asked so often; told at once what changed, once between two polls
stale_ms = 200                     # no fresh sample for so long: bad
recover_ms = 500                   # good for so long before it counts again
sim = "hw_sim.coupler:Coupler"     # what stands in for it with --sim

[cells.infeed]
type = "cells.conveyor:Conveyor"   # from this folder or an installed package
device = "coupler"                 # tags named nowhere else are its points of the same name
io = { run = "coupler.infeed_run" }
params = { }
safe = { run = false }             # see `cellrt.line.values`
to = "printer"                     # hands over to that cell's infeed, or "printer.infeed_2"

[io]                               # for every cell that has a tag of this name
estop_released = "safety.estop_released"

[tasks.slow]                       # the cells of one period, `period_ms` in their classes
period_ms = 100                    # without it: the base period
policy = "degrade"                 # when it overruns: "skip", "degrade" or "safe_stop"
after = 3                          # so many times in a row
budget_us = 500                    # what one scan of them may take; without it: the whole period

[tasks.interlocks]                 # the scan as a whole; its policy is "safe_stop"
after = 200

[sim]                              # the simulated plant
belts = [["coupler.infeed", "printer.belt"]]
power = "safety"

[opcua]                            # the server for SCADA
listen = "127.0.0.1"               # from elsewhere only users: anonymous = "none"
anonymous = "viewer"               # clients without a name: "none", "viewer", "operator", "engineer"
history = ["printer.offset_x_um"]  # tags whose changes are kept
```

Device maps are described in `cellrt.line.device_map`.
"""
