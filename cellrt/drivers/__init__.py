"""How samples come from devices and go to them: one small Protocol, one file a protocol."""
