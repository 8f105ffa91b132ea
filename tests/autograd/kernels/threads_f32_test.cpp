// Kernels that have no bf16 form on enough work for several threads (threads.h).

#include <gtest/gtest.h>

#include <vector>

#include "autograd/kernels/candidate_loss.h"
#include "autograd/kernels/matmul.h"
#include "autograd/kernels/recurrent.h"
#include "autograd/kernels/session_loss.h"
#include "tests/autograd/kernels/threads.h"

namespace capstan::kernels::testing_threads {
namespace {

TEST(ThreadsOfFloat, RankingAndSessionLosses) {
  const std::int64_t rows = 3000, columns = 9;
  const auto scores = random_values<float>(rows * columns, 1, -3, 3);
  for (const bool is_softmax : {false, true})
    check("ranking_loss", 2e-5, [&](Results& r) {
      auto losses = zeros<float>(rows), d = zeros<float>(rows * columns);
      const RankingTerms terms{.softmax = is_softmax};
      ranking_loss(terms, scores.data(), rows, columns, losses.data());
      ranking_loss_backward(terms, scores.data(), rows, columns, 0.5, d.data());
      r.add(losses), r.add(d);
    });
  const std::int64_t m = 60, n = 400;
  const auto session_scores = random_values<float>(m * n, 2, -2, 2);
  const auto items = random_indices(n, 300, 3);
  for (const auto kind :
       {SessionLossKind::cross_entropy, SessionLossKind::bpr, SessionLossKind::top1, SessionLossKind::top1_max, SessionLossKind::bpr_max})
    check("session_loss", 5e-5, [&](Results& r) {
      auto s = session_scores;
      r.add(std::vector<double>{
          session_loss({.rows = m, .columns = n, .scores = s.data(), .items = items.data()}, {.kind = kind, .bpreg = 0.1})});
      r.add(s);
    });
}

TEST(ThreadsOfFloat, ProductsByEveryAlgorithm) {
  struct Case {
    MatmulKernel kernel;
    std::int64_t rows, columns, depth;
    bool a_transposed;
    Promise promise;
  };
  for (const Case& c : {Case{MatmulKernel::split, 60, 50, 9000, true, Promise::same_bits},
                        Case{MatmulKernel::library_transposed, 2000, 20, 130, true, Promise::same_rounding},
                        Case{MatmulKernel::library_padded, 512, 1024, 40, false, Promise::same_rounding},
                        Case{MatmulKernel::library, 300, 200, 100, false, Promise::same_rounding}}) {
    MatmulProblem p{.rows = c.rows, .columns = c.columns, .depth = c.depth};
    p.a = c.a_transposed ? MatrixLayout{.row = 1, .column = c.rows, .batch = {}} : MatrixLayout{.row = c.depth, .column = 1, .batch = {}};
    p.b = p.c = MatrixLayout{.row = c.columns, .column = 1, .batch = {}};
    ASSERT_EQ(choose_matmul_kernel(p, false), c.kernel);
    const auto a = random_values<float>(c.rows * c.depth, 1), b = random_values<float>(c.depth * c.columns, 2);
    check(
        "matmul", 1e-4,
        [&](Results& r) {
          auto y = zeros<float>(c.rows * c.columns);
          matmul(p, a.data(), b.data(), y.data());
          r.add(y);
        },
        c.promise);
  }
}

TEST(ThreadsOfFloat, RecurrentLayers) {
  const std::int64_t batch = 50, time = 3, n = 96;
  const auto input = random_values<float>(batch * time * 4 * n, 1), h0 = random_values<float>(batch * n, 2),
             weight = random_values<float>(4 * n * n, 3, -0.1, 0.1), bias = random_values<float>(4 * n, 4),
             dy = random_values<float>(batch * time * n, 5);
  const RecurrentSizes sizes{.batch = batch, .time = time, .hidden = n};
  for (const GruVariant variant : {GruVariant::reset_before, GruVariant::reset_after})
    check(
        "gru", 1e-3,
        [&](Results& r) {
          auto y = zeros<float>(batch * time * n), last = zeros<float>(batch * n), gates = zeros<float>(batch * time * 4 * n), previous = y;
          gru_forward(GruForward<float>{.sizes = sizes,
                                        .variant = variant,
                                        .input = input.data(),
                                        .h0 = h0.data(),
                                        .weight = weight.data(),
                                        .bias = bias.data(),
                                        .y = y.data(),
                                        .last = last.data(),
                                        .gates = gates.data(),
                                        .previous = previous.data()});
          auto dinput = zeros<float>(batch * time * 3 * n), dh0 = last, dweight = zeros<float>(3 * n * n), dbias = zeros<float>(3 * n);
          gru_backward(GruBackward<float>{.sizes = sizes,
                                          .variant = variant,
                                          .weight = weight.data(),
                                          .gates = gates.data(),
                                          .previous = previous.data(),
                                          .dy = dy.data(),
                                          .dinput = dinput.data(),
                                          .dh0 = dh0.data(),
                                          .dweight = dweight.data(),
                                          .dbias = dbias.data()});
          r.add(y), r.add(last), r.add(dinput), r.add(dh0), r.add(dweight), r.add(dbias);
        },
        Promise::same_rounding);
  check(
      "lstm", 1e-3,
      [&](Results& r) {
        auto y = zeros<float>(batch * time * n), last_h = zeros<float>(batch * n), last_c = last_h,
             gates = zeros<float>(batch * time * 4 * n), previous_h = y, previous_c = y;
        lstm_forward(LstmForward<float>{.sizes = sizes,
                                        .input = input.data(),
                                        .h0 = h0.data(),
                                        .weight = weight.data(),
                                        .bias = bias.data(),
                                        .y = y.data(),
                                        .last_h = last_h.data(),
                                        .last_c = last_c.data(),
                                        .gates = gates.data(),
                                        .previous_h = previous_h.data(),
                                        .previous_c = previous_c.data()});
        auto dinput = gates, dh0 = last_h, dc0 = last_h, dweight = zeros<float>(4 * n * n), dbias = zeros<float>(4 * n);
        lstm_backward(LstmBackward<float>{.sizes = sizes,
                                          .weight = weight.data(),
                                          .gates = gates.data(),
                                          .previous_h = previous_h.data(),
                                          .previous_c = previous_c.data(),
                                          .dy = dy.data(),
                                          .dinput = dinput.data(),
                                          .dh0 = dh0.data(),
                                          .dc0 = dc0.data(),
                                          .dweight = dweight.data(),
                                          .dbias = dbias.data()});
        r.add(y), r.add(last_h), r.add(last_c), r.add(dinput), r.add(dh0), r.add(dc0), r.add(dweight), r.add(dbias);
      },
      Promise::same_rounding);
}

}  // namespace
}  // namespace capstan::kernels::testing_threads
