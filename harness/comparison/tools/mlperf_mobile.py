"""Results of the MLPerf Mobile app: `result.json`, or the files in its folder of results.

Format: https://github.com/mlcommons/mobile_app_open, `docs/result-spec.md`. The score of
SingleStream is the 90th percentile of a query's time, and the app's throughput is one over it;
of Offline it is samples a second. A file is one run, on a phone that it names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from facebench.harness.comparison.entry import Entry
from facebench.harness.comparison.tools.registry import (
    BenchmarkTool,
    register,
    renamed,
    times,
    without,
)

NAME = "MLPerf Mobile"
_FACTS = {
    "model_name": "host",
    "os_version": "system",
    "proc_cpuinfo_soc_name": "cpu_model",
    "soc_name": "cpu_model",
    "cpu_full_name": "cpu_model",
}

Run = Mapping[str, Any]


def _is_one(data: Any) -> bool:
    return isinstance(data, dict) and {"meta", "results", "environment_info"} <= data.keys()


def _read(data: Run) -> list[Entry]:
    """Return the times of the performance runs; accuracies come without the pairs they are of."""
    environment = data["environment_info"]
    phone = (environment.get("value") or {}).get(environment["platform"]) or {}
    facts = {
        "environment": renamed(phone, _FACTS),
        "revision": str((data.get("build_info") or {}).get("git_commit") or ""),
    }
    return [_entry(one, facts) for one in data["results"]]


def _entry(one: Run, facts: dict[str, Any]) -> Entry:
    scenario, run = str(one["loadgen_scenario"]), one.get("performance_run")
    backend = one.get("backend_info") or {}
    on = (scenario, backend.get("backend_name"), backend.get("accelerator_name"))
    name = ", ".join(str(part) for part in (one["benchmark_id"], *on) if part)
    if not run:
        return without(NAME, name, "refused", "the app did not time it", **facts)
    loadgen = run.get("loadgen") or {}
    told = facts | {"created": str(run["start_datetime"]), "doubts": tuple(_doubts(loadgen))}
    seconds = loadgen.get("latency90") if scenario == "SingleStream" else None
    if loadgen.get("is_token_based"):
        return without(NAME, name, "refused", "of tokens no time of an inference is told", **told)
    if not seconds:
        throughput = run.get("throughput")
        if not throughput:
            return without(NAME, name, "failed", "the app has no throughput of it", **told)
        seconds = 1 / throughput["value"]
    count = int(loadgen.get("query_count") or run["measured_samples"])
    return times(NAME, name, [1e3 * seconds], max(count, 1), **told)


def _doubts(loadgen: Run) -> Iterator[str]:
    if loadgen.get("is_result_valid") is False:
        yield "LoadGen calls the result invalid"
    conditions = {
        "is_min_duration_met": "it ran shorter than LoadGen asks for",
        "is_min_query_met": "it answered fewer queries than LoadGen asks for",
        "is_early_stopping_met": "LoadGen's early stopping was not met",
    }
    yield from (told for name, told in conditions.items() if loadgen.get(name) is False)


register(BenchmarkTool(NAME, _is_one, _read))
