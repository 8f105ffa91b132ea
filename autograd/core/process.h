#pragma once
// What a program that trains asks of its process, once, at the beginning of main. The library itself changes neither.
//
//     int main(int, char** argv) {
//       capstan::open_standard_descriptors();
//       capstan::ignore_numeric_environment();
//       capstan::limit_busy_waiting(argv);
//       capstan::flush_denormals();

namespace capstan {

/// Opens /dev/null for each of the descriptors 0, 1 and 2 that is closed. Otherwise the first files that are opened get these numbers, and
/// messages land in them.
void open_standard_descriptors();

/// Takes from the environment what makes oneDNN compute other numbers: its choice of instructions and of a shorter floating point format.
void ignore_numeric_environment();

/// Waiting OpenMP threads spin for some tens of microseconds and then sleep. libgomp's own default spins for milliseconds, which
/// makes a step several times slower while another process keeps a core busy; never to spin costs a sleep and a wake-up, about 50
/// microseconds, in every parallel region (half of a step of a small recurrent model). libgomp reads this from the environment before main,
/// and before any code of a library could set it, so the program starts itself once more with GOMP_SPINCOUNT, unless the user has set that
/// or OMP_WAIT_POLICY. The process keeps its number, and whatever it did before the call is done again: call it first in main.
/// Where OpenMP binds its threads (OMP_PROC_BIND, OMP_PLACES), it has bound this one before main; the new process gets the whole mask back.
/// `argv` is main's. Returns if there is nothing to do (or the system refuses).
void limit_busy_waiting(char** argv);

/// Denormal numbers count as zero, in this thread and every thread it starts from now on; returns whether the machine can. They
/// cost a hundred times a normal operation and carry no information in training.
bool flush_denormals();

}  // namespace capstan
