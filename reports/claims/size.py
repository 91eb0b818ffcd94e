"""Judges claims on parameters, MAdds and size: counts, which decide by themselves."""

from __future__ import annotations

from collections.abc import Sequence

from facebench.harness.records.cost import Cost
from facebench.reports.claims import REFUTED, SUPPORTED, ClaimFinding, claim
from facebench.reports.digits import agrees
from facebench.reports.evidence import BASELINE, PAPER_MADDS_MILLIONS, Evidence

_NEEDS = f"the cost of {BASELINE}"
_COUNTED = ("counted", "published")
_BOTH_COUNTS = (
    "BN folded is what is left on the phone, batch normalization inside the convolutions; as "
    "trained has its weight and bias too. The paper does not say which it counts."
)
_CONVENTION = "The paper counts convolutions and linear layers alone."

# The paper's sizes, in megabytes of 10^6 bytes, fp32.
_PAPER_SIZE_MB = "4.0"
# Its global operator on MobileNetV2: a 7x7 kernel on each of 1280 channels.
_GDCONV = 7 * 7 * 1280
# The 128-d embedding computed from all places of that map, rather than from one.
_CONNECTED = (7 * 7 - 1) * 1280 * 128


@claim(
    "parameters",
    short="< 1 M parameters",
    text=f"{BASELINE} has less than a million parameters.",
    where="abstract",
    needs=_NEEDS,
    order=10,
)
def parameters(evidence: Evidence) -> Sequence[ClaimFinding]:
    """Judge the parameters by both ways to count: batch normalization folded, and as trained."""
    cost = evidence.costs.get(BASELINE)
    if cost is None:
        return []
    return [
        _below(cost.parameters_bn_folded, "BN folded"),
        _below(cost.parameters, "as trained"),
    ]


@claim(
    "madds",
    short="221 M MAdds",
    text=f"{BASELINE} takes {PAPER_MADDS_MILLIONS} million multiply-adds.",
    where="section 3.3",
    needs=_NEEDS,
    order=12,
)
def madds(evidence: Evidence) -> Sequence[ClaimFinding]:
    """Judge the multiply-adds by each counting rule."""
    cost = evidence.costs.get(BASELINE)
    return [] if cost is None else [_madds(rule, count) for rule, count in cost.madds.items()]


@claim(
    "size",
    short="4.0 MB",
    text=f"The model of {BASELINE} has {_PAPER_SIZE_MB} MB.",
    where="abstract",
    needs=_NEEDS,
    order=14,
)
def size(evidence: Evidence) -> Sequence[ClaimFinding]:
    """Judge the size of the weights in single precision."""
    cost = evidence.costs.get(BASELINE)
    if cost is None or "fp32" not in cost.size_bytes:
        return []
    megabytes = cost.size_bytes["fp32"] / 1e6
    same = agrees(megabytes, _PAPER_SIZE_MB)
    why = (
        f"weights of {cost.size_bytes['fp32']:,} bytes in fp32, BN folded, "
        f"{'round to' if same else 'are not'} the paper's figure"
    )
    place = "fp32, BN folded"
    verdict = SUPPORTED if same else REFUTED
    return [ClaimFinding(verdict, place, f"{megabytes:.2f} MB", "", _COUNTED, f"{why}.")]


@claim(
    "gdconv-cost",
    short="GDConv adds 62,720",
    text="GDConv in place of pooling costs MobileNetV2 62,720 MAdds and as many parameters.",
    where="section 3.2",
    needs="the cost of mobilenet_v2 and mobilenet_v2_gdconv",
    order=16,
)
def gdconv_cost(evidence: Evidence) -> Sequence[ClaimFinding]:
    """Judge what the whole network grows by, beside what a fully connected layer would add."""
    plain, gdconv = (evidence.costs.get(name) for name in ("mobilenet_v2", "mobilenet_v2_gdconv"))
    if plain is None or gdconv is None:
        return []
    more = {
        "MAdds": _madds_of(gdconv) - _madds_of(plain),
        "parameters, BN folded": gdconv.parameters_bn_folded - plain.parameters_bn_folded,
    }
    whole = {"MAdds": _madds_of(plain), "parameters, BN folded": plain.parameters_bn_folded}
    # Folded, BN leaves each of the layer's channels a bias.
    allowed = {"MAdds": {_GDCONV}, "parameters, BN folded": {_GDCONV, _GDCONV + 1280}}
    return [
        ClaimFinding(
            SUPPORTED if count in allowed[what] else REFUTED,
            what,
            f"+{count:,}",
            "",
            _COUNTED,
            f"It is {count / whole[what]:.2%} of {whole[what] / 1e6:.3f} M.",
            (
                "A fully connected layer on the whole 7x7x1280 map would add "
                f"{_CONNECTED / 1e6:.2f} M.",
            ),
        )
        for what, count in more.items()
    ]


def _below(count: int, rule: str) -> ClaimFinding:
    verdict = SUPPORTED if count < 1_000_000 else REFUTED
    side = "below" if count < 1_000_000 else "not below"
    why = f"{count:,} is {side} a million."
    return ClaimFinding(verdict, rule, f"{count / 1e6:.4f} M", "", _COUNTED, why, (_BOTH_COUNTS,))


def _madds(rule: str, count: int) -> ClaimFinding:
    same = agrees(count / 1e6, PAPER_MADDS_MILLIONS)
    why = f"{count:,} {'rounds' if same else 'does not round'} to the paper's figure."
    verdict = SUPPORTED if same else REFUTED
    also = () if same else (_CONVENTION,)
    return ClaimFinding(verdict, rule, f"{count / 1e6:.1f} M", "", _COUNTED, why, also)


def _madds_of(cost: Cost) -> int:
    return cost.madds["conv+linear"]
