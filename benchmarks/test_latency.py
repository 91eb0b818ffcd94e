"""What an inference takes in each runtime, as a table a network: compare within one run only."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from facebench.harness.models.export import export
from facebench.harness.models.networks import resolve
from facebench.harness.runtimes.registry import RUNTIMES


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("runtime", RUNTIMES.names())
@pytest.mark.parametrize("network", ["mobilefacenet", "mobilenet_v2"])
def test_inference(benchmark: BenchmarkFixture, network: str, runtime: str, threads: int) -> None:
    chosen = RUNTIMES[runtime]
    if not chosen.installed():
        pytest.skip(f"{runtime} is not installed: {chosen.install}")
    exported = export(resolve(network))
    session = chosen.open(chosen.prepare(exported, 1, "host").path, threads)
    images = exported.reference()[0][:1]
    benchmark.group = f"{network}, {threads} thread{'s' * (threads > 1)}"
    benchmark(session, images)
