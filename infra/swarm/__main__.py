"""A swarm of three nodes on this machine to try experiments with, as root.

python -m infra.swarm up [NAME] [--nodes N]    prints the DOCKER_HOST of its manager
python -m infra.swarm give [NAME] --image I    brings an image of its manager to its other nodes
python -m infra.swarm down [NAME]              leaves nothing
"""

from __future__ import annotations

import argparse
import sys

from infra.swarm.cluster import Cluster, size_of, sweep, unusable


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=("up", "give", "down", "sweep"))
    parser.add_argument("name", nargs="?", default="demo")
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--skew", type=int, nargs="*", default=[], help="seconds for each node's clock")
    parser.add_argument("--image", action="append", default=[], help="for all nodes")
    args = parser.parse_args()
    if reason := unusable():
        print(f"no swarm can be brought up here: {reason}", file=sys.stderr)
        return 3
    cluster = Cluster(args.name, size_of(args.name) or args.nodes, args.skew)
    if args.action == "up":
        cluster.up(images=args.image)
        print(f"export DOCKER_HOST={cluster.url(cluster.manager)}")
    elif args.action == "give":
        for image in args.image:
            cluster.distribute(image)
    elif args.action == "down":
        cluster.down()
    else:
        print(*sweep(), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
