"""Says in a sentence what to do about denormal numbers."""

from __future__ import annotations

import numpy as np

from facebench.harness.comparison.denormals_effect import DenormalsEffect
from facebench.harness.records.denormals import Denormals, worst_first


def of_counts(network: str, found: Denormals) -> str:
    """Return what the counts mean for a network's time.

    Example:
        >>> of_counts("n", Denormals(8, (), ()))
        'n: no denormal numbers in its weights, nor in its layers on 8 images: nothing to do.'
    """
    if found.none:
        return (
            f"{network}: no denormal numbers in its weights, nor in its layers on "
            f"{found.images} images: nothing to do."
        )
    worst = worst_first((*found.activations, *found.weights))[0]
    return (
        f"{network}: {percent(found.weight_share)} of its weights and "
        f"{percent(found.activation_share)} of what its layers compute are denormal, most of all "
        f"in {worst.name} ({percent(worst.share)}). Many kernels are slower on them: set such "
        "weights to zero (trained ones get there by weight decay), or have the runtime flush them, "
        f"and see with 'facebench denormals {network} --runtime R' what that gains."
    )


def of_effect(effect: DenormalsEffect, how: str) -> str:
    """Return what a measured effect means.

    Args:
        effect: of a case.
        how: `Runtime.flushing` of its runtime.
    """
    where = f"{effect.case.network}, {effect.case.runtime}"
    if effect.interval is None:
        return f"{where}: {effect.reason}."
    low, high = effect.interval
    if effect.faster:
        return (
            f"{where}: flushing denormal numbers makes it {effect.speedup:.3g} times as fast "
            f"[{low:.3g}, {high:.3g}]. In a program of yours: {how}."
        )
    return (
        f"{where}: flushing denormal numbers is not shown to gain anything: "
        f"{effect.speedup:.3g} times as fast [{low:.3g}, {high:.3g}]."
    )


def percent(share: float) -> str:
    """Return a share in percent; one that is not zero is never shown as zero.

    Example:
        >>> percent(0.0), percent(1e-9), percent(0.256)
        ('0 %', '0.0000001 %', '25.6 %')
    """
    if not share:
        return "0 %"
    digits = max(1, -int(np.floor(np.log10(100 * share))))
    return f"{100 * share:.{digits}f} %"
