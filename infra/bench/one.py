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
    args = parser.parse_args()
    load: dict[str, object] = {
        "connection": "new" if args.new else "keep-alive",
        "max_in_flight": 4000,
        "workers": 1,
    }
    if args.quantum is not None:
        load["quantum"] = 0 if args.quantum == "0" else args.quantum
    if not args.rate:
        load |= {"max_in_flight": 256}
    offered = offer_stage(args.port, args.rate or GREEDY, args.seconds, warmup=0, **load)
    duration = offered.latency("duration").percentiles_ms([50, 95, 99])
    response = offered.latency("response_time").percentiles_ms([50, 95, 99])
    names = ("p50", "p95", "p99")
    told = dict(zip(names, duration, strict=True)) | {"dropped": offered.count("dropped")}
    told |= {f"response_{name}": value for name, value in zip(names, response, strict=True)}
    told |= {"peak_mib": offered.peak_mib, "failed": sum(offered.failures.values())}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
