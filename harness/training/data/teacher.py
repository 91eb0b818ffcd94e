"""Provides a trained network that embeds training faces, on all cores of this machine."""

from __future__ import annotations

from facebench.architectures.errors import RefusedError
from facebench.harness.measures.deployment import deploy
from facebench.harness.measures.scoring import embedder
from facebench.harness.models.networks import Network
from facebench.harness.runs.jobs import Scoring, scoring_job
from facebench.harness.verification.embedding import Embedder

_RUNTIME = "onnxruntime"


def open_teacher(network: Network, threads: int | None = None) -> Embedder:
    """Return a network as an embedder whose outputs were compared with torch's.

    Args:
        network: trained.
        threads: images in work at a time; None for all cores.

    Raises:
        RefusedError: its weights are random.
        BadInputError, WrongAnswerError: they do not fit, or are not run as torch does.
    """
    if not network.trained:
        raise RefusedError(
            f"{network.name} has {network.weights} for weights, and says nothing of faces: give "
            "trained ones with --weights NETWORK=FILE, or name an ONNX file"
        )
    job = scoring_job(network, _RUNTIME, Scoring("synthetic"), threads=threads)
    made, _ = embedder(job, deploy(job))
    return made
