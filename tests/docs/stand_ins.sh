# shellcheck shell=bash
# Small files under the names that the pages use, for commands.sh, which reads this. Every function writes below the current directory.

# N lines of the program PROGRAM of awk, with random numbers that are the same on every machine.
lines() {  # N PROGRAM
  awk -v n="$1" 'function draw(below) { state = (state * 16807) % 2147483647; return state % below }
    BEGIN { state = 20011; for (i = 0; i < n; ++i) { '"$2"' } }'
}

sentences() {  # N: English sentences, a paragraph each
  lines "$1" '
    split("the a this every some old small good", d, " "); split("king bird house river friend film ship letter", s, " ");
    split("sees finds builds loves leaves knows", v, " ");
    printf "The %s %s of a %s %s the %s %s .\n", d[1 + draw(8)], s[1 + draw(8)], s[1 + draw(8)], v[1 + draw(6)], d[1 + draw(8)], s[1 + draw(8)]'
}

# `user item time`: each user goes from item to item with a habit.
interactions() { lines 60 'item = draw(30); for (k = 0; k < 12; ++k) { item = draw(5) == 0 ? draw(30) : (item + 1) % 30
  printf "u%d i%d %d\n", i, item, 978300000 + 10000 * i + 600 * k }'; }
# Events of sessions with names of columns, a session or more for each of DAYS days.
clicks() {  # SEPARATOR DAYS
  lines $((40 * $2)) 'if (i == 0) print "SessionId'"$1"'ItemId'"$1"'Time"
  item = draw(30); for (k = 0; k < 4; ++k) { item = draw(5) == 0 ? draw(30) : (item + 1) % 30
  printf "%d'"$1"'%d'"$1"'%d\n", i, item, 1400000000 + 2160 * i + 60 * k }'
}
trec() {
  mkdir -p "${1:-trec}"
  for part in train test; do
    lines 120 'split("DESC ENTY ABBR HUM NUM LOC", c, " "); k = 1 + i % 6; split("how what abbreviate who many where", w, " ")
      printf "%s:x %s is the %s of number %d ?\n", c[k], w[k], w[1 + draw(6)], draw(20)' >"${1:-trec}/TREC.$part.all"
  done
}
sst2() {
  mkdir -p sst-2
  for part in train dev; do
    { printf 'sentence\tlabel\n'; sentences 60 | awk '{ printf "%s\t%d\n", $0, NR % 2 }'; } >sst-2/$part.tsv
  done
}
reviews() { echo text,label; sentences 60 | awk '{ printf "\"%s, %s\",%s\n", $0, NR % 2 ? "fine" : "dull", NR % 2 ? "good" : "bad" }'; }
wikitext() {
  mkdir -p wikitext-2
  for part in train valid test; do
    for topic in Ship River Film King Bird; do printf ' = %s = \n \n' $topic; sentences 40 | sed 's/^/ /; s/$/ /'; echo ' '; done >wikitext-2/$part.txt
  done
  gzip -f wikitext-2/train.txt
}
pairs() {  # DIRECTORY SOURCE TARGET PART...: line-aligned texts
  mkdir -p "$1"
  local part
  for part in "${@:4}"; do
    sentences 80 >"$1/$part.$2"
    sentences 80 | tr 'aeiou' 'eioua' >"$1/$part.$3"
  done
}
squad() {  # FILE VERSION: five articles; of version 2 some questions without an answer
  mkdir -p "$(dirname "$1")"
  lines 5 'if (i == 0) printf "{\"version\": \"'"$2"'\", \"data\": ["; else printf ", "
    context = "The poem was written by Anna Kell in " (1900 + i) " and the bridge was built by John Rown in the town of Ely ."
    printf "{\"title\": \"t%d\", \"paragraphs\": [{\"context\": \"%s\", \"qas\": [", i, context
    for (q = 0; q < 3; ++q) {
      answer = q == 0 ? "Anna Kell" : q == 1 ? "John Rown" : "Ely"; impossible = "'"$2"'" ~ /^v?2/ && q == 2
      printf "%s{\"id\": \"q%d-%d\", \"question\": \"who or where was number %d ?\", ", q ? ", " : "", i, q, q
      if ("'"$2"'" ~ /^v?2/) printf "\"is_impossible\": %s, ", impossible ? "true" : "false"
      if (impossible) printf "\"answers\": []}"; else printf "\"answers\": [{\"text\": \"%s\", \"answer_start\": %d}]}", answer, index(context, answer) - 1
    }
    printf "]}]}"; if (i == n - 1) printf "]}\n"' >"$1"
}
vocabulary() { printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' . , '?' a the of is who how what where {b..z} {0..9} '##'{a..z} '##'{0..9}; }

# Pictures that the program draws of generated images: PNG, 32 pixels high and wide or wider.
pictures() {
  [[ -d pictures.made ]] && return
  capstan train vit/quickstart run.dir=runs/pictures
  seq 0 9 | capstan predict vit/quickstart --checkpoint runs/pictures/checkpoints/best.h5 --input - --output classes.made \
    predict.input=indices predict.pictures=pictures.made
  rm -r runs/pictures classes.made
}
folders() {  # NAME: train, val and test with a folder of pictures for each of two classes
  pictures
  local part kind file n=0
  for part in train val test; do
    for kind in rollout heads; do
      mkdir -p "$1/$part/$kind"
      for file in pictures.made/*-$kind.png; do ln -f "$file" "$1/$part/$kind/$((++n)).png"; done
    done
  done
}
idx() {  # DIRECTORY: pictures and labels in the form of MNIST
  mkdir -p "$1"
  local part count
  for part in train:80 t10k:20; do
    count=${part#*:}
    { printf '\0\0\10\3\0\0\0\x'"$(printf %x "$count")"'\0\0\0\34\0\0\0\34'; head -c $((784 * count)) < <(yes 'a picture of a shirt or of a shoe'); } >"$1/${part%:*}-images-idx3-ubyte"
    { printf '\0\0\10\1\0\0\0\x'"$(printf %x "$count")"; lines "$count" 'printf "%c", i % 10 + 48' | tr 0-9 '\000-\011'; } >"$1/${part%:*}-labels-idx1-ubyte"
  done
  gzip -f "$1"/*
}
# Width and height of a PNG file.
size_of() { od -An -j16 -N8 -tu1 "$1" | awk '{ print $3 * 256 + $4, $7 * 256 + $8 }'; }
annotations() {  # FILE PICTURE...: COCO's JSON, two boxes a picture
  local file=$1 n=0 width height
  shift
  {
    printf '{"categories": [{"id": 1, "name": "bright"}, {"id": 2, "name": "dark"}], "images": ['
    for picture in "$@"; do
      read -r width height < <(size_of "$picture")
      printf '%s{"id": %d, "file_name": "%s", "width": %d, "height": %d}' "$([[ $n -eq 0 ]] || echo ', ')" $((++n)) "$(basename "$picture")" "$width" "$height"
    done
    printf '], "annotations": ['
    for ((i = 1; i <= n; ++i)); do
      printf '%s{"id": %d, "image_id": %d, "category_id": 1, "bbox": [2, 3, 10, 12], "area": 120, "iscrowd": 0}, ' "$([[ $i -eq 1 ]] || echo ', ')" $((2 * i)) $i
      printf '{"id": %d, "image_id": %d, "category_id": 2, "bbox": [12, 10, 9, 8], "area": 72, "iscrowd": 0}' $((2 * i + 1)) $i
    done
    printf ']}\n'
  } >"$file"
}
coco() {  # DIRECTORY TRAIN VALIDATION TRAIN_PICTURES VALIDATION_PICTURES
  pictures
  mkdir -p "$1/$4" "$1/$5" "$(dirname "$1/$2")"
  cp pictures.made/*-rollout.png "$1/$4"
  cp pictures.made/*-rollout.png "$1/$5"
  annotations "$1/$2" "$1/$4"/*.png
  annotations "$1/$3" "$1/$5"/*.png
}
voc() {  # DIRECTORY: of the form of Pascal VOC
  pictures
  mkdir -p "$1"/{JPEGImages,Annotations,ImageSets/Main}
  local picture name width height
  for picture in pictures.made/*-rollout.png; do
    name=$(basename "$picture" .png)
    read -r width height < <(size_of "$picture")
    cp "$picture" "$1/JPEGImages/"
    echo "<annotation><filename>$name.png</filename><size><width>$width</width><height>$height</height><depth>3</depth></size>" \
      "<object><name>RBC</name><difficult>0</difficult><bndbox><xmin>3</xmin><ymin>4</ymin><xmax>14</xmax><ymax>15</ymax></bndbox></object>" \
      "<object><name>WBC</name><difficult>0</difficult><bndbox><xmin>12</xmin><ymin>9</ymin><xmax>22</xmax><ymax>20</ymax></bndbox></object>" \
      "</annotation>" >"$1/Annotations/$name.xml"
    for part in train val test; do echo "$name" >>"$1/ImageSets/Main/$part.txt"; done
  done
}

# A directory of Hugging Face transformers: what a tiny run of CONFIG exports.
model_dir() {  # NAME CONFIG [KEY=VALUE]...
  capstan train "$2" run.dir=runs/given "${@:3}"
  capstan export "$(ls -t runs/given/checkpoints/step-*.h5 | head -1)" "$1" --as hf
  rm -r runs/given
}
weights() {  # FILE: a ResNet with the names of torchvision
  capstan train resnet/quickstart run.dir=runs/given model.stem=large
  capstan export runs/given/checkpoints/best.h5 "$1" --as torchvision
  rm -r runs/given
}
bert_dir() { sentences 200 >bert.made; model_dir "$1" bert/quickstart data.train=bert.made model.positions=absolute data.prepared=prepared.made; rm -r prepared.made; }

# What the page PAGE has before its first command. Standard input of its commands is stdin.txt.
stand_ins() {  # PAGE
  printf 'i1 i2 i3\ni4 i5\n' >stdin.txt
  case $1 in
    README.md) interactions >my.txt ;;
    recipes/README.md)
      bert_dir BERT_DIR
      folders photos
      model_dir VIT_DIR vit/quickstart model.image_size=224 model.patch_size=16 shapes.size=224
      printf '1 2 3\n4 5\n' >lines.txt
      capstan train sasrec/quickstart run.dir=runs/a
      ;;
    recipes/bert/README.md)
      wikitext
      sentences 20 | tee text.txt >lines.txt
      mkdir texts && sentences 300 >texts/a.txt
      ;;
    recipes/bert_classify/README.md)
      trec
      reviews >reviews.csv
      bert_dir MODEL_DIR
      mkdir english-novels && sentences 400 >english-novels/a.txt
      capstan train bert/novels
      vocabulary >trec/vocab.txt
      cp trec/TREC.test.all trec/test.tsv
      reviews | sed "s/\",/\"\t/; s/text,label/text\tlabel/" >test.tsv
      printf 'who is the king\nwhere is it\n' >lines.txt
      ;;
    recipes/bert_spans/README.md)
      squad squad/train-v1.1.json 1.1 && squad squad/dev-v1.1.json 1.1
      squad squad-2.0/train-v2.0.json v2.0 && squad squad-2.0/dev-v2.0.json v2.0
      squad xquad-en/xquad.en.json 1.1
      squad mine.json 1.1
      bert_dir bert-base-uncased
      cp -r bert-base-uncased all-MiniLM-L6-v2
      ;;
    recipes/detr/README.md)
      voc BCCD
      coco mine train.json val.json . .
      coco coco annotations/instances_train2017.json annotations/instances_val2017.json train2017 val2017
      model_dir MODEL_DIR detr/quickstart model.anchors=no model.backbone.stem=large model.backbone.norm=frozen
      weights resnet50.safetensors
      annotations instances_val.json mine/*.png
      ls mine/*.png >pictures.txt
      echo '[{"image_id": 1, "category_id": 1, "bbox": [2, 3, 10, 11], "score": 0.9}]' >results.json
      ;;
    recipes/gru4rec/README.md)
      clicks '\t' 4 >train.txt
      clicks '\t' 1 >test.txt
      clicks '\t' 2 | sed 's/\t7\t/\t77\t/' >newer.txt
      clicks , 30 >clicks.csv
      clicks , 1 >more.csv
      { echo item_id,title; lines 30 'printf "%d,\"Thing, the %dth\"\n", i, i'; } >products.csv
      printf 's1\t3\ns2\t5\ns1\t4\n' >stdin.txt
      ;;
    recipes/kernel_regression/README.md) printf '0.5\n1\n4.9\n' >stdin.txt ;;
    recipes/language_model/README.md)
      mkdir tiny-shakespeare && sentences 300 | sed "s/^The/ROMEO: In shocking/; s/ [.]$/./" | tee notes.txt >tiny-shakespeare/input.txt
      wikitext
      model_dir gpt2 language_model/own data.train="$PWD/notes.txt" data.tokens=byte model.norm=layer model.positions=learned model.bias=yes \
        model.activation=gelu_tanh model.tied=yes model.max_positions=128
      printf 'ROMEO: In a king\nROMEO: In this bird\n' >stdin.txt
      ;;
    recipes/lstm_classify/README.md)
      trec
      sst2
      reviews >reviews.csv
      sentences 50 | tr ' ' '\n' | sort -u | awk '{ print $1, .1, .2, .3, .4, .5, .6, .7, .8 }' | gzip >"$HOME/glove.6B.300d.txt.gz"
      printf 'who is the king\nwhere is it\n' >lines.txt
      ;;
    recipes/translate/README.md | recipes/lstm_translate/README.md)
      pairs multi30k-en-de en de train val test_2016_flickr
      pairs DIR en fr train val test
      pairs mine en fr train val test
      sentences 2 | tee lines.txt >stdin.txt
      ;;
    recipes/resnet/README.md)
      idx fashion-mnist
      folders photos
      ls "$PWD"/photos/test/*/*.png >paths.txt
      model_dir MODEL resnet/quickstart model.stem=large
      weights resnet50.safetensors
      ;;
    recipes/sasrec/README.md)
      interactions | gzip >ml-1m.txt.gz
      { echo user_id,item_id,timestamp; interactions | tr ' ' ','; } >mine.csv
      { echo item_id,title; lines 30 'printf "i%d,\"Film, The (%d)\"\n", i, 1950 + i'; } >movies.csv
      printf 'u1\nu2\n' >users.txt
      ;;
    recipes/swin/README.md)
      idx fashion-mnist
      folders photos
      cp -r photos tiny-imagenet-20
      cp -r photos FOLDER
      ls "$PWD"/photos/test/*/*.png >paths.txt
      model_dir MODEL swin/quickstart
      ;;
    recipes/vit/README.md)
      idx fashion-mnist
      folders photos
      cp -r photos FOLDER
      ls "$PWD"/photos/test/*/*.png >paths.txt
      model_dir MODEL vit/quickstart
      ;;
    recipes/guide/tutorial.md) folders photos ;;
    recipes/guide/coming_from.md)
      { printf 'user_id:token\titem_id:token\ttimestamp:float\n'; interactions | tr ' ' '\t'; } >ml-100k.inter
      reviews >reviews.csv
      bert_dir bert-base-uncased
      cp -r bert-base-uncased MODEL_DIR
      ;;
    recipes/tasks/recommendation/README.md)
      interactions | awk '{ print $1 "::" $2 "::" 1 + NR % 5 "::" $3 }' >ratings.dat
      { echo userId,movieId,rating,timestamp; interactions | awk '{ print $1 "," $2 "," 4 + NR % 2 "," $3 }'; } >ratings.csv
      clicks , 30 >clicks.csv
      ;;
  esac
}
