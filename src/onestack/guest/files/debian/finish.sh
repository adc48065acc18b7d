#!/bin/sh
# finish.sh ROOT: the last strokes on a Debian tree before it becomes an image.
set -eu
root=$1
# Each server makes its own identity at its first boot.
: >"$root/etc/machine-id"
rm -f "$root"/etc/ssh/ssh_host_*
echo localhost >"$root/etc/hostname"
# The package's question about data sources would win over ours.
rm -f "$root/etc/cloud/cloud.cfg.d/90_dpkg.cfg"
# A login on the serial console; no downloads by timers in the first minute of each server.
mkdir -p "$root/etc/systemd/system/getty.target.wants"
ln -sf /lib/systemd/system/serial-getty@.service "$root/etc/systemd/system/getty.target.wants/serial-getty@ttyS0.service"
for timer in apt-daily apt-daily-upgrade; do
  ln -sf /dev/null "$root/etc/systemd/system/$timer.timer"
done
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb
