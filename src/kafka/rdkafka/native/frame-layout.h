// The bytes of a packed frame, as drawn in src/core/frame.ts; both files change together.
// Used on the pool threads. Little endian machines only (checked in addon.cc).
// Keeps SPEC: FRAME-1 (what goes in comes out).
#pragma once
#include <cstddef>
#include <cstdint>

namespace millrace {

constexpr uint32_t kFrameMagic = 0x3146524d;  // 'MRF1'
constexpr size_t kFrameHeaderBytes = 32;
constexpr size_t kRecordHeaderBytes = 32;
/** A header of a record: u16 nameBytes, i32 valueBytes, then name and value. */
constexpr size_t kHeaderPrefixBytes = 6;

struct FrameHeader {
  uint32_t magic;
  uint32_t record_count;
  uint32_t used_bytes;
  int32_t partition;
  double next_offset;
  double high_watermark;
};

struct SourceRecordHeader {
  uint32_t record_bytes;
  int32_t key_bytes;
  int32_t value_bytes;
  uint32_t headers_bytes;
  double offset;
  double timestamp_ms;
};

struct SinkRecordHeader {
  uint32_t record_bytes;
  int32_t key_bytes;
  int32_t value_bytes;
  uint32_t headers_bytes;
  uint32_t topic_index;
  int32_t partition;
  double timestamp_ms;
};

static_assert(sizeof(FrameHeader) == kFrameHeaderBytes);
static_assert(sizeof(SourceRecordHeader) == kRecordHeaderBytes);
static_assert(sizeof(SinkRecordHeader) == kRecordHeaderBytes);

inline size_t PadTo8(size_t bytes) { return (bytes + 7) & ~size_t{7}; }

}  // namespace millrace
