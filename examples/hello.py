"""Prints what a program sees of the machine from inside a microVM."""
import json
import os
import platform
import time

with open("/proc/uptime") as f:
    up = float(f.read().split()[0])
with open("/proc/meminfo") as f:
    memory_mb = int(f.readline().split()[1]) // 1024

print(f"Hello from Python {platform.python_version()} in a microVM.")
print(f"This is Linux {platform.release()}; it has been up for {up:.2f} seconds.")
print(json.dumps({
    "cpus": os.cpu_count(),
    "memory_mb": memory_mb,
    "user": os.getuid(),
    "directory": os.getcwd(),
    "processes": sum(name.isdigit() for name in os.listdir("/proc")),
    "network": sorted(os.listdir("/sys/class/net")),
    "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
}, indent=2))
