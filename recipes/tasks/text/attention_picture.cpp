#include "recipes/tasks/text/attention_picture.h"

#include "data/output_file.h"
#include "recipes/engine/report/answer_pictures.h"

namespace capstan::text {

void draw_attention(const std::string& directory, std::int64_t line, const data::MatrixFigure& figure) {
  data::write_output(engine::picture_stem(directory, line) + ".svg", data::svg_of(figure));
}

}  // namespace capstan::text
