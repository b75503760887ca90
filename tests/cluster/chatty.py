"""A process that does what its input says: started by agents in tests."""

import sys
import time


def main() -> None:
    for line in sys.stdin:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "say":
            print(rest, flush=True)
        elif word == "exit":
            sys.exit(int(rest))
        elif word == "endless":
            while True:
                sys.stdout.write("x" * 65_536)
        elif word == "ignore":
            print('"ignoring"', flush=True)
            time.sleep(600)


if __name__ == "__main__":
    main()
