"""The line file and the device maps: read, checked whole, and made into one `LineSpec`."""
