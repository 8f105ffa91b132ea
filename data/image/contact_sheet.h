#pragma once
// ContactSheet: one image of many, in rows and columns.

#include <cstdint>

#include "data/image/image.h"

namespace capstan::data {

struct ContactSheetForm {
  std::int64_t height = 0, width = 0;  ///< of a panel
  std::int64_t gap = 4;                ///< pixels between panels
  std::int64_t margin = 0;             ///< pixels around all
  std::int64_t aside = 0;              ///< further pixels that set the first column apart
  std::uint8_t paper = 255;            ///< grey of what no panel covers
};

class ContactSheet {
 public:
  ContactSheet(std::int64_t rows, std::int64_t columns, const ContactSheetForm& form);
  /// Grey is shown as colour. Throws DataError unless the panel has the size of the form and there is such a place.
  void place(std::int64_t row, std::int64_t column, const ImageView& panel);
  /// RGB.
  const Image& page() const { return page_; }

 private:
  std::int64_t rows_, columns_;
  ContactSheetForm form_;
  Image page_;
};

}  // namespace capstan::data
