#include "data/image/contact_sheet.h"

#include <algorithm>

#include "autograd/core/error.h"

namespace capstan::data {
namespace {

std::int64_t length(std::int64_t panels, std::int64_t side, const ContactSheetForm& form) {
  return panels * (side + form.gap) - form.gap + 2 * form.margin;
}

}  // namespace

ContactSheet::ContactSheet(std::int64_t rows, std::int64_t columns, const ContactSheetForm& form)
    : rows_(rows),
      columns_(columns),
      form_(form),
      page_(length(rows, form.height, form), length(columns, form.width, form) + (columns > 1 ? form.aside : 0), 3) {
  std::ranges::fill(page_.pixels, form.paper);
}

void ContactSheet::place(std::int64_t row, std::int64_t column, const ImageView& panel) {
  require<DataError>(
      row >= 0 && row < rows_ && column >= 0 && column < columns_ && panel.height == form_.height && panel.width == form_.width,
      "contact sheet: a panel of ", panel.height, " x ", panel.width, " pixels at (", row, ", ", column, ") of ", rows_, " x ", columns_,
      " panels of ", form_.height, " x ", form_.width);
  const Image colour = with_channels(panel, 3);
  const std::int64_t top = form_.margin + row * (form_.height + form_.gap);
  const std::int64_t left = form_.margin + column * (form_.width + form_.gap) + (column > 0 ? form_.aside : 0);
  for (std::int64_t y = 0; y < colour.height; ++y) std::copy_n(colour.row(y), colour.stride(), page_.row(top + y) + 3 * left);
}

}  // namespace capstan::data
