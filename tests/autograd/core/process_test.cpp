#include "autograd/core/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>
#include <thread>

namespace capstan {
namespace {

TEST(Process, DenormalsAreFlushedInNewThreadsToo) {
  const auto tiny_product = [] {
    volatile float a = 1e-30f, b = 1e-10f;
    return static_cast<float>(a * b);
  };
  float here = 1, there = 1, elsewhere = -1;
  std::thread([&] { elsewhere = tiny_product(); }).join();
  std::thread([&] {
    ASSERT_TRUE(flush_denormals());
    here = tiny_product();
    std::thread([&] { there = tiny_product(); }).join();
  }).join();
  EXPECT_GT(elsewhere, 0) << "the test must see denormals where nothing is flushed";
  EXPECT_EQ(here, 0);
  EXPECT_EQ(there, 0);
}

TEST(Process, ClosedStandardDescriptorsNeverBecomeFiles) {
  const pid_t child = ::fork();
  if (child == 0) {
    for (int fd = 0; fd <= STDERR_FILENO; ++fd) ::close(fd);
    open_standard_descriptors();
    bool ok = ::write(STDERR_FILENO, "x", 1) == 1;
    char c = 0;
    ok = ok && ::read(STDIN_FILENO, &c, 1) == 0;
    const int next = ::open("/dev/null", O_RDONLY);
    ::_exit(ok && next > STDERR_FILENO ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(Process, WhatChangesNumbersIsTakenFromTheEnvironment) {
  ::setenv("ONEDNN_DEFAULT_FPMATH_MODE", "BF16", 1);
  ::setenv("DNNL_MAX_CPU_ISA", "SSE41", 1);
  ignore_numeric_environment();
  EXPECT_EQ(std::getenv("ONEDNN_DEFAULT_FPMATH_MODE"), nullptr);
  EXPECT_EQ(std::getenv("DNNL_MAX_CPU_ISA"), nullptr);
}

// Runs only in the process that the next test starts.
TEST(Process, DISABLED_SpinsBriefly) {
  const char* spins = std::getenv("GOMP_SPINCOUNT");
  ASSERT_NE(spins, nullptr);
  EXPECT_STREQ(spins, "10000");
  limit_busy_waiting(nullptr);  // must return: a third start would be one too many
}

TEST(Process, TheProgramStartsAgainWithLimitedSpinning) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::unsetenv("OMP_WAIT_POLICY");
    ::unsetenv("GOMP_SPINCOUNT");
    std::string name = "test", filter = "--gtest_filter=Process.DISABLED_SpinsBriefly", also = "--gtest_also_run_disabled_tests",
                quiet = "--gtest_brief=1";
    std::array<char*, 5> arguments{name.data(), filter.data(), also.data(), quiet.data(), nullptr};
    limit_busy_waiting(arguments.data());
    ::_exit(9);  // it returned instead
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace capstan
