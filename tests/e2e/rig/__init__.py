"""What the end-to-end tests drive a real QEMU with. Python's standard library only, so that it needs no build."""
