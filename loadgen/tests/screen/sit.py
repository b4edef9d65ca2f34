# Sits at a terminal: runs a program in a pseudo-terminal, does what it is told when it has seen
# what it waits for, and says how the program ended and what it left of the terminal.
#
#   sit.py ROWS COLUMNS SCRIPT PROGRAM ARGUMENTS...
#
# SCRIPT is lines of `text that is waited for<tab>what is done then`: `key q` presses a key,
# `signal TERM` sends a signal. Standard output becomes JSON.
import fcntl, json, os, pty, select, signal, struct, sys, termios, time

rows, columns, script, *command = sys.argv[1:]
steps = [line.split("\t") for line in script.splitlines()]
control, terminal = pty.openpty()
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", int(rows), int(columns), 0, 0))
before = termios.tcgetattr(terminal)
child = os.fork()
if child == 0:
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    for stream in (0, 2):
        os.dup2(terminal, stream)
    os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
    os.environ["TERM"] = "xterm"
    os.execv(command[0], command)

seen, mark, deadline, status = b"", 0, time.monotonic() + 60, None
while True:
    if select.select([control], [], [], 0.1)[0]:
        seen += os.read(control, 65536)
        # Only cells that changed are drawn, so what is waited for must change as a whole.
        if steps and steps[0][0].encode() in seen[mark:]:
            verb, what = steps.pop(0)[1].split(" ")
            mark = len(seen)
            if verb == "key":
                os.write(control, what.encode())
            else:
                os.kill(child, getattr(signal, "SIG" + what))
    elif status is not None:
        break
    else:
        ended, how = os.waitpid(child, os.WNOHANG)
        status = how if ended else None
    if time.monotonic() > deadline:
        os.kill(child, signal.SIGKILL)
        sys.exit(f"it waited for {steps[:1]} in vain: {seen[-2000:]!r}")
if steps:
    sys.exit(f"it ended before {steps[:1]}: {seen[-2000:]!r}")

after = termios.tcgetattr(terminal)
print(json.dumps({
    "exit": os.waitstatus_to_exitcode(status),
    "restored": before == after,
    "entered": seen.count(b"\x1b[?1049h"),
    "left": seen.count(b"\x1b[?1049l"),
    "hidden": seen.count(b"\x1b[?25l") > 0 and seen.rfind(b"\x1b[?25l") > seen.rfind(b"\x1b[?25h"),
    "seen": seen.decode(errors="replace"),
}))
