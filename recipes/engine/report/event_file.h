#pragma once
// Event files: the numbers of metrics.jsonl in the form that TensorBoard reads.
//
// A file is a sequence of TFRecords: the length (u64), the masked CRC-32C of these eight bytes, the content, the masked CRC-32C of the
// content, all little-endian (TensorFlow, core/lib/io/record_writer.cc); the mask turns a checksum right by 15 bits and adds 0xa282ead8.
// The content is an Event of core/util/event.proto, of which wall_time, step, file_version, summary (tag, simple_value) and session_log are
// written, by hand: a library of protocol buffers would be the largest part of it.
// A run that goes on starts a new file with a session log START, at which TensorBoard forgets later steps of earlier files; so nothing
// stands twice, and what was written stays as it is.

#include <cstdint>
#include <string>
#include <string_view>

#include "recipes/engine/report/run_log.h"
#include "recipes/engine/report/run_record.h"

namespace capstan::engine {

/// One TFRecord.
std::string event_record(std::string_view content);
/// The content of events.
std::string version_event(double wall_time);
/// Steps from this one on, of earlier files, are void.
std::string start_event(double wall_time, std::int64_t step);
/// The numbers of a row, tagged "train/loss", "validation/recall@10"; empty: there is none.
std::string row_event(double wall_time, const JsonRow& row);

/// The events of a run that is under way.
class EventFile {
 public:
  /// Makes DIRECTORY/events.out.tfevents.<time>.<host>.<process>. `first_step`: the first one that this process may write. Throws IoError.
  EventFile(const std::string& directory, std::int64_t first_step);
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  /// False if it could not be written: the file then ends with a record that readers wait for the rest of, and takes no further ones.
  bool row(const JsonRow& row);

 private:
  bool append(std::string_view bytes);

  std::string path_;
  int fd_ = -1;
  bool whole_ = true;
};

/// A whole file of the rows of a run, with times as log.txt has them. Returns what it wrote. Writing it again replaces it. Throws IoError.
std::string write_events(const RunRecord& run, const std::string& directory);

}  // namespace capstan::engine
