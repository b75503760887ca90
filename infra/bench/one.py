"""One stage of the built-in generator as a command: `python -m infra.bench.one --port N --rate N`."""

from __future__ import annotations

import argparse
import json

from infra.bench.figures import offer_stage

GREEDY = 400_000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--quantum")
    parser.add_argument("--new", action="store_true")
    parser.add_argument("--users", type=int, default=0, help="closed users instead of a rate")
    parser.add_argument("--users-per-s", type=float, default=0, help="users of scenarios instead of a rate")
    parser.add_argument("--load", type=json.loads, default={}, help="further keys of the load, as JSON")
    args = parser.parse_args()
    load: dict[str, object] = {
        "connection": "new" if args.new else "keep-alive",
        "max_in_flight": 4000,
        "workers": 1,
        **args.load,
    }
    if args.quantum is not None:
        load["quantum"] = 0 if args.quantum == "0" else args.quantum
    if not args.rate and not args.users and not args.users_per_s:
        load |= {"max_in_flight": 256}
    level = {"users": args.users, "users_per_s": args.users_per_s}
    offered = offer_stage(args.port, args.rate or GREEDY, args.seconds, warmup=0, **level, **load)
    names = ("p50", "p95", "p99")
    told = dict(zip(names, offered.latency("duration").percentiles_ms([50, 95, 99]), strict=True))
    told |= {"dropped": offered.count("dropped")}
    if not args.users:
        response = offered.latency("response_time").percentiles_ms([50, 95, 99])
        told |= {f"response_{name}": value for name, value in zip(names, response, strict=True)}
    told |= {"peak_mib": offered.peak_mib, "failed": sum(offered.failures.values())}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
