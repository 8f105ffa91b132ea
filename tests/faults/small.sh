# For the scripts of this folder: a tiny run of each recipe, seconds long, on data that is generated or written here.
#
#   small_recipes          names them
#   small RECIPE FOLDER    sets the array `small` to CONFIG and settings; what has to be written goes into FOLDER

: "${CAPSTAN_RECIPES:=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../recipes" && pwd)}"

small_recipes() {
  echo sasrec gru4rec bert bert_classify bert_spans lstm_classify translate lstm_translate language_model vit swin resnet detr kernel_regression
}

small_labelled() {
  local i word
  {
    echo text,label
    for ((i = 0; i < 30; ++i)); do
      word=$([ $((i % 3)) -ne 0 ] && echo good,yes || echo bad,no)
      echo "the film was ${word%,*} and ${word##*,}thing number $((i % 4)),${word##*,}"
    done
  } > "$1/train.csv"
  printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' the film was book is long and good bad short number > "$1/vocab.txt"
}

small() {
  local recipe=$1 folder=$2 i
  small=("$recipe/quickstart")
  if [ ! -e "$CAPSTAN_RECIPES/$recipe/quickstart.cfg" ]; then
    echo "recipe = $recipe" > "$folder/$recipe.cfg"
    small=("$folder/$recipe.cfg")
  fi
  small+=("run.data=$folder" run.threads=1 train.epochs=1000 train.log_every=1 train.evaluate_every=4 evaluate.batch_size=8 loader.workers=1)
  local bert=(model.layers=1 model.hidden_size=16 model.heads=2 model.intermediate_size=32 model.max_positions=24 train.batch_size=4)
  local images=(shapes.train=24 shapes.validation=8 shapes.test=3 shapes.size=16 train.batch_size=8)
  case $recipe in
    sasrec)
      small+=(synthetic.sequences=60 synthetic.items=30 synthetic.min_length=3 model.hidden_size=16 model.max_length=12 train.batch_size=10) ;;
    gru4rec)
      small+=(synthetic.sequences=90 synthetic.items=30 model.layers=8 negatives.count=6 train.batch_size=11) ;;
    bert)
      for ((i = 0; i < 4; ++i)); do
        printf '%s\n' 'the cat sat on the mat' 'it saw a small bird' 'the bird flew away' 'the cat slept all day' '' \
          'rain fell on the old town' 'the river rose by night' 'men built a wall of stone' 'the water stayed outside' ''
      done > "$folder/text.txt"
      small+=("${bert[@]}" data.train=text.txt data.form=sentences data.vocab_size=90 "data.prepared=$folder/prepared" data.held_out=0.4
              instances.max_length=24 instances.max_predictions=4 model.positions=absolute) ;;
    bert_classify)
      small_labelled "$folder"
      small+=("${bert[@]}" data.train=train.csv data.vocabulary=vocab.txt data.held_out=8 data.max_length=16) ;;
    bert_spans)
      small_labelled "$folder"
      printf '%s' '{"version":"2.0","data":[{"title":"t","paragraphs":[' > "$folder/squad.json"
      for ((i = 0; i < 6; ++i)); do
        [ $i -eq 0 ] || printf ',' >> "$folder/squad.json"
        printf '{"context":"the film was long and the book was good","qas":[{"id":"q%d","question":"is the book long","is_impossible":false,"answers":[{"text":"good","answer_start":35}]}]}' $i
      done >> "$folder/squad.json"
      printf ']}]}' >> "$folder/squad.json"
      small+=("${bert[@]}" data.train=squad.json data.validation=squad.json data.vocabulary=vocab.txt spans.max_length=24
              spans.question_length=8 spans.stride=6) ;;
    lstm_classify)
      small_labelled "$folder"
      small+=(data.train=train.csv data.held_out=8 data.max_length=16 data.min_count=1 model.embedding=8 model.hidden_size=6 train.batch_size=8) ;;
    translate)
      small+=(data.generated=120 data.vocab_size=40 train.batch_size=90 model.encoder_layers=1 model.decoder_layers=1 model.hidden_size=8
              model.heads=2 model.intermediate_size=16) ;;
    lstm_translate)
      small+=(data.generated=120 data.vocab_size=40 train.batch_size=90 model.embedding=8 model.hidden_size=8) ;;
    language_model)
      small+=(data.generated=100 data.length=16 model.layers=1 model.hidden_size=16 model.heads=2 model.intermediate_size=32
              model.max_positions=64 train.batch_size=7) ;;
    vit)
      small+=("${images[@]}" model.image_size=16 model.hidden_size=16 model.layers=1 model.heads=2 model.mlp_size=32) ;;
    swin)
      small+=("${images[@]}" model.image_size=10 model.patch_size=2 model.hidden_size=8 model.window_size=3) ;;
    resnet)
      small+=("${images[@]}" model.image_size=16 model.stem_width=8 model.blocks=1,1 model.widths=8,8) ;;
    detr)
      small+=(shapes.train=16 shapes.validation=4 shapes.test=2 shapes.size=24 augment.sides=24 augment.crop=0 evaluate.side=24
              model.backbone.widths=8,8,8,8 model.backbone.stem_width=8 model.width=8 model.heads=2 model.inner=16 model.queries=5
              model.encoder_layers=1 model.decoder_layers=1 train.batch_size=4) ;;
    kernel_regression) small+=(train.batch_size=10) ;;
    *) echo "$recipe: no small run of it is written in small.sh" >&2; return 2 ;;
  esac
}
