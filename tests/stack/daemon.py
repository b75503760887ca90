"""Starts a daemon as nginx, php-fpm and PostgreSQL do, and then serves as the app does.

The daemon forks twice, leads a session of its own, and overwrites its environment and its name.
"""

DAEMON = """
import ctypes
def daemonise(ignore_sigterm=False, file=None):
    if os.fork():
        os.wait()
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    fields = open('/proc/self/stat', 'rb').read().rpartition(b')')[2].split()
    start, end = int(fields[47]), int(fields[48])
    ctypes.memset(start, 0, end - start)
    for variable in list(os.environ):
        del os.environ[variable]
    ctypes.CDLL(None).prctl(15, b'daemon-' + port.encode(), 0, 0, 0)
    if ignore_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.chdir('/')
    null = os.open('/dev/null', os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    time.sleep(70)
    os._exit(0)
"""
