// A program of a user's own: a layer, a model, a train loop. It learns on which of three spiral arms a point of the plane lies.

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "autograd/capstan.h"
#include "nn/init.h"
#include "nn/linear.h"
#include "optim/adam.h"

namespace {

using capstan::Tensor;

class Norm {
 public:
  Norm(const capstan::nn::Scope& scope, std::int64_t width)
      : weight_(scope.parameter("weight", {width}, capstan::nn::ones(), {.decay = false})) {}
  Tensor operator()(const Tensor& x) const { return x * rsqrt(mean(x * x, {-1}, true) + 1e-6) * weight_.value(); }

 private:
  capstan::Parameter weight_;
};

struct Model {
  capstan::nn::Linear in, out;
  Norm norm;
  explicit Model(const capstan::nn::Scope& scope)
      : in(scope / "in", {.in = 2, .out = 64}), out(scope / "out", {.in = 64, .out = 3}), norm(scope / "norm", 64) {}
  Tensor operator()(const Tensor& x) const { return out(norm(gelu(in(x)))); }  // [B, 2] -> [B, 3]
};

}  // namespace

int main(int, char** argv) {
  capstan::limit_busy_waiting(argv);
  std::vector<float> points;
  std::vector<std::int64_t> arms;
  for (std::int64_t i = 0; i < 600; ++i) {
    const double radius = 0.1 + 0.9 * static_cast<double>(i) / 600, angle = 4 * radius + 2.0943951 * static_cast<double>(i % 3);
    points.insert(points.end(), {static_cast<float>(radius * std::cos(angle)), static_cast<float>(radius * std::sin(angle))});
    arms.push_back(i % 3);
  }
  const Tensor x = Tensor::from(points, {600, 2}), target = Tensor::from(arms, {600});

  capstan::nn::ParameterStore store(/*seed=*/1);
  const Model model(store.root());
  capstan::optim::AdamW optimizer(store.parameters());
  double loss_now = 0;
  for (int step = 0; step < 300; ++step) {
    capstan::Tape tape;
    const Tensor loss = cross_entropy(model(x), target).value;
    optimizer.step(store.gradients(tape.backward(loss)), 1e-2);
    loss_now = loss.item();
    if (step % 50 == 0 || step == 299) std::printf("step %3d  loss %.9g\n", step, loss_now);
  }
  return loss_now < 0.05 ? 0 : 1;  // it began at log 3
}
