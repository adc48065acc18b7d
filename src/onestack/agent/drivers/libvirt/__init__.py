"""libvirt and QEMU: `driver.py` runs the steps, the other modules know one thing each."""
