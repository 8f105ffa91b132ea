#!/usr/bin/env bash
# Stands for `capstan` while commands.sh runs the commands of a page: the same program on a narrow model and for two steps.
#   DOCS_CAPSTAN  the program
#   DOCS_RECIPES  the folder of configurations
#   DOCS_MODE     run; or keys: the configuration of the command is read and resolved, and nothing is done
set -euo pipefail
command=${1:-}
config=
case $command in
  train | sweep | evaluate | predict | generate | prepare | bench) [[ ${2:--} == -* || $2 == *=* || $2 != */* ]] || config=$2 ;;
esac

if [[ $DOCS_MODE == keys ]]; then
  [[ ! -p /dev/stdin ]] || cat >/dev/null  # or what writes into the pipe may be ended by a signal
  case $command in train | evaluate | predict | generate | prepare | bench) ;; *) exit 0 ;; esac
  # Of files only the names are looked at, and several values of a key are no value. Without a configuration the run that is named tells which it was.
  kept=() leave=
  for argument in "${@:2}"; do
    if [[ -z $config && $argument =~ runs/([a-z0-9_]+)-([a-z0-9_]+) && -e $DOCS_RECIPES/${BASH_REMATCH[1]}/${BASH_REMATCH[2]}.cfg ]]; then
      config=${BASH_REMATCH[1]}/${BASH_REMATCH[2]}
      kept=("$config" ${kept[@]+"${kept[@]}"})
    fi
    if [[ -n $leave ]]; then
      leave=
    else
      case $argument in
        --checkpoint) leave=yes ;;
        init.* | update.from=*) ;;
        *) kept+=("$argument") ;;
      esac
    fi
  done
  [[ -n $config ]] || exit 0
  exec "$DOCS_CAPSTAN" "$command" "${kept[@]}" --print-config >/dev/null
fi

# The newest checkpoint of the page's own run of this configuration, or of any.
checkpoint() {
  local run=runs/${config//\//-} found
  [[ -n $config && -d $run ]] || run='runs/*'
  # shellcheck disable=SC2086
  found=$(ls -t $run/checkpoints/best.h5 2>/dev/null | head -1)
  [[ -n $found ]] || found=$(ls -t $run/checkpoints/step-*.h5 2>/dev/null | head -1)
  [[ -n $found ]] || { echo "FILE stands for a checkpoint, and the page has made none" >&2; exit 1; }
  echo "$found"
}

arguments=() taken= resumed= run= profile= check= last=
for argument in "$@"; do
  case $argument in
    FILE) argument=$(checkpoint) ;;
    *=FILE) argument=${argument%FILE}$(checkpoint) ;;
  esac
  case $argument in
    init.from=*.safetensors) ;;  # weights alone
    init.from=*) taken=$argument ;;
    --resume) resumed=yes ;;
    --check) check=yes ;;
    --profile) profile=yes ;;
    run.dir=*) run=${argument#run.dir=} ;;
  esac
  arguments+=("$argument")
done

# What makes each recipe narrow. A model that comes with init.from has its own sizes.
narrow=()
recipe=${config%%/*}
if [[ -z $taken ]]; then
  case $recipe in
    bert) narrow=(model.layers=4 model.hidden_size=16 model.heads=2 model.intermediate_size=32 data.vocab_size=300 bench.vocab_size=300) ;;
    bert_classify | bert_spans) narrow=(model.layers=1 model.hidden_size=16 model.heads=2 model.intermediate_size=32 bench.vocab_size=300) ;;
    lstm_classify) narrow=(model.embedding=8 model.hidden_size=8) ;;
    sasrec) narrow=(model.hidden_size=8 model.heads=1 model.blocks=1 model.max_length=20 bench.items=100) ;;
    gru4rec) narrow=(model.layers=8 negatives.count=16 bench.items=100) ;;
    vit) narrow=(model.hidden_size=16 model.heads=2 model.layers=1 model.mlp_size=32) ;;
    swin) narrow=(model.hidden_size=8 model.depths=1,1 model.heads=1,2) ;;
    resnet) narrow=(model.stem_width=8 model.block=basic model.blocks=1,1 model.widths=8,16) ;;
    detr) narrow=(model.width=16 model.heads=2 model.encoder_layers=1 model.decoder_layers=1 model.inner=32 model.queries=5
      model.backbone.stem_width=8 model.backbone.block=basic model.backbone.blocks=1,1 model.backbone.widths=8,16) ;;
    translate) narrow=(model.encoder_layers=1 model.decoder_layers=1 model.hidden_size=16 model.heads=2 model.intermediate_size=32
      data.vocab_size=60 bench.vocab_size=60) ;;
    lstm_translate) narrow=(model.embedding=8 model.hidden_size=8 data.vocab_size=60 bench.vocab_size=60) ;;
    language_model) narrow=(model.layers=1 model.hidden_size=16 model.heads=2 model.kv_heads=0 model.intermediate_size=32 data.vocab_size=60
      bench.vocab_size=60) ;;
  esac
fi
# Of what is read and generated little, in small batches.
case $recipe in
  bert) narrow+=(train.batch_size=2 instances.max_length=32 evaluate.batch_size=64) ;;
  bert_classify | lstm_classify) narrow+=(train.batch_size=4) ;;
  bert_spans) narrow+=(train.batch_size=2 spans.max_length=48 spans.question_length=16 spans.stride=16) ;;
  sasrec) narrow+=(train.batch_size=8 synthetic.sequences=100) ;;
  gru4rec) narrow+=(train.batch_size=4 synthetic.sequences=200) ;;
  vit | swin | resnet | patch_mixer) narrow+=(train.batch_size=4 train.micro_batch_size=0 shapes.train=40 shapes.validation=10 shapes.test=10) ;;
  detr) narrow+=(train.batch_size=2 train.micro_batch_size=0 shapes.train=20 shapes.validation=10 shapes.test=10 evaluate.batch_size=4
    evaluate.side=64 augment.sides=64 augment.longest=96) ;;
  translate | lstm_translate) narrow+=(train.batch_size=64) ;;
  language_model) narrow+=(train.batch_size=2 data.length=16 evaluate.length=16) ;;
esac
case $config in */fashion_mnist* | vit/image_folder | swin/tiny_imagenet_20 | resnet/tiny_imagenet_20) narrow+=(data.held_out=4) ;; esac

case $command in
  train | sweep)
    [[ -n $config ]] || exec "$DOCS_CAPSTAN" "${arguments[@]}"
    narrow+=(run.threads=1)
    [[ -n $profile ]] && narrow+=(train.max_steps=112) || narrow+=(train.max_steps=2)
    # A page shows several ways to train of which a reader takes one: each begins with an empty directory, unless it goes on.
    [[ -n $run ]] || run=runs/${config//\//-}
    [[ -n $resumed || -n $check ]] || rm -rf "$run"
    ;;
  bench) narrow+=(run.threads=1) arguments+=(--steps 1) ;;
esac
# What the page sets itself stays.
for setting in ${narrow[@]+"${narrow[@]}"}; do
  [[ " ${arguments[*]} " == *" ${setting%%=*}="* ]] || arguments+=("$setting")
done
exec "$DOCS_CAPSTAN" "${arguments[@]}"
