"""Runs a command and writes what it took to descriptor 3, as JSON: measure.py SECONDS COMMAND [ARGUMENT...]

The system counts the peak of a process from before it became the command, so that a command started by Node seems to take
what Node takes. This process is small, and starts the command in Node's stead. A command that runs for more than SECONDS
is ended.
"""
import json
import os
import signal
import sys
import time

limit, command = float(sys.argv[1]), sys.argv[2:]
ended = False
start = time.monotonic()
child = os.fork()
if child == 0:
    os.close(3)
    try:
        os.execvp(command[0], command)
    finally:
        os._exit(127)


def end(*_):
    global ended
    ended = True
    os.kill(child, signal.SIGKILL)


signal.signal(signal.SIGALRM, end)
signal.signal(signal.SIGTERM, end)
signal.setitimer(signal.ITIMER_REAL, limit)
_, status, usage = os.wait4(child, 0)
result = {
    "seconds": time.monotonic() - start,
    "cpu": usage.ru_utime + usage.ru_stime,
    "memory": usage.ru_maxrss * 1024,
    "status": os.waitstatus_to_exitcode(status),
    "ended": ended,
}
os.write(3, json.dumps(result).encode())
