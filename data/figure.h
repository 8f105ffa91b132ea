#pragma once
// Figures: a matrix with names on both axes, curves, and images with boxes, as SVG files.
//
// SVG because it has text: words of any script on an axis need no font here, a browser or an office program brings its own, and
// `rsvg-convert` or `inkscape` make a PNG of it. Numbers are in the drawing too: the tooltip of a cell says its value. Plain functions from
// numbers to text; writing the file is write_output's (output_file.h).

#include <cstdint>
#include <string>
#include <vector>

#include "data/image/image.h"

namespace capstan::data {

/// A matrix as cells, darker where larger: white is 0, the darkest is the largest value.
struct MatrixFigure {
  std::string title, columns_title, rows_title;
  std::vector<std::string> columns, rows;  ///< names, from left and from top
  std::vector<float> values;               ///< [rows, columns], none negative
};
/// Throws DataError if values and names do not fit, or a value is negative or not finite.
std::string svg_of(const MatrixFigure& figure);

struct Curve {
  std::string name;
  std::vector<double> x, y;
  bool points = false;  ///< dots instead of a line
};
struct CurveFigure {
  std::string title, x_title, y_title;
  std::vector<Curve> curves;  ///< drawn in this order
};
/// Throws DataError if a curve has unlike numbers of x and y, or one that is not finite, or if there is no point at all.
std::string svg_of(const CurveFigure& figure);

struct FramedBox {
  double x = 0, y = 0, width = 0, height = 0;  ///< pixels of the image
  std::string label;                           ///< above the frame, or inside it at the top of the drawing
  std::int64_t colour = 0;                     ///< a number: equal ones have one colour
};
struct ImagePanel {
  Image image;
  std::vector<FramedBox> boxes;
  std::string caption;  ///< below it
};
/// Images with boxes, `columns` beside each other; those of few pixels are enlarged.
struct ImageFigure {
  std::vector<ImagePanel> panels;
  std::int64_t columns = 1;
};
/// The images are in the file. Throws DataError if there is none, or a box is not finite.
std::string svg_of(const ImageFigure& figure);

/// Rising round numbers that cover low to high: steps of 1, 2 or 5 times a power of ten, about `count` of them.
std::vector<double> round_ticks(double low, double high, int count);

}  // namespace capstan::data
