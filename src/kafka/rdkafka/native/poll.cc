// Hot path: takes what a consumer has fetched and packs it into one frame a partition. Pool thread; one poll a client.
// Waits for the first message only, then drains. Two passes: measure by partition, then copy and free each message.
// Keeps SPEC: FRAME-1, FRAME-2, KAFKA-1 (read committed only; control records never come out of librdkafka).
#include <algorithm>
#include <cstring>

#include "call.h"
#include "client.h"
#include "frame-layout.h"
#include "frame-pool.h"

namespace millrace {
namespace {

/** Messages taken between two looks at the byte limit, so that one poll cannot overshoot it by much. */
constexpr size_t kSliceRecords = 4096;
/** How far ahead messages are prefetched: each lives in its own allocation. */
constexpr size_t kPrefetchAhead = 12;

/** The records of one partition in this poll. */
struct Group {
  rd_kafka_topic_t* topic;
  int32_t partition;
  uint32_t record_count = 0;
  size_t bytes = kFrameHeaderBytes;
  char* frame = nullptr;
  char* write_to = nullptr;
  int64_t last_offset = -1;
  std::string topic_name;
};

struct PartitionEnd {
  std::string topic;
  int32_t partition;
  int64_t offset;
};

size_t HeadersBytes(rd_kafka_message_t* message) {
  rd_kafka_headers_t* headers;
  if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return 0;
  size_t bytes = 0;
  const char* name;
  const void* value;
  size_t value_bytes;
  for (size_t i = 0; !rd_kafka_header_get_all(headers, i, &name, &value, &value_bytes); i++) {
    bytes += kHeaderPrefixBytes + std::min(std::strlen(name), size_t{0xffff}) + (value == nullptr ? 0 : value_bytes);
  }
  return bytes;
}

char* PackHeaders(rd_kafka_message_t* message, char* to) {
  rd_kafka_headers_t* headers;
  if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return to;
  const char* name;
  const void* value;
  size_t value_bytes;
  for (size_t i = 0; !rd_kafka_header_get_all(headers, i, &name, &value, &value_bytes); i++) {
    const uint16_t name_bytes = static_cast<uint16_t>(std::min(std::strlen(name), size_t{0xffff}));
    const int32_t value_length = value == nullptr ? -1 : static_cast<int32_t>(value_bytes);
    std::memcpy(to, &name_bytes, 2);
    std::memcpy(to + 2, &value_length, 4);
    std::memcpy(to + kHeaderPrefixBytes, name, name_bytes);
    to += kHeaderPrefixBytes + name_bytes;
    if (value_length > 0) std::memcpy(to, value, value_bytes);
    if (value_length > 0) to += value_length;
  }
  return to;
}

class PollCall : public Call {
 public:
  PollCall(Client* client, size_t records_max, size_t bytes_max, int wait_ms, v8::Local<v8::Function> callback)
      : Call(client, callback), records_max_(records_max), bytes_max_(bytes_max), wait_ms_(wait_ms) {
    client->is_polling = true;
  }

  ~PollCall() override {
    for (Group& group : groups_) {
      if (group.frame != nullptr) GiveBlock(group.frame, group.bytes);
    }
  }

  void Run() override {
    if (client_->is_stopping()) return;
    TakeMessages();
    for (Group& group : groups_) StartFrame(group);
    PackMessages();
    for (Group& group : groups_) FinishFrame(group);
    failure_ = FatalFailure(client_->rk());
  }

 protected:
  v8::Local<v8::Value> Result() override {
    v8::Local<v8::Object> result = Nan::New<v8::Object>();
    SetField(result, "batches", BatchesToJs());
    SetField(result, "ends", EndsToJs());
    v8::Local<v8::Array> errors = Nan::New<v8::Array>(static_cast<int>(errors_.size()));
    for (uint32_t i = 0; i < errors_.size(); i++) Nan::Set(errors, i, ToJs(errors_[i]));
    SetField(result, "errors", errors);
    return result;
  }

  void Ended() override { client_->is_polling = false; }

 private:
  /** Fills the slots: one message with waiting, the rest without. Measures as it goes. */
  void TakeMessages() {
    std::vector<rd_kafka_message_t*>& slots = client_->slots();
    if (slots.size() < records_max_) slots.resize(records_max_);
    int wait_ms = wait_ms_;
    size_t wanted = 1;
    while (wanted > 0) {
      const ssize_t got = rd_kafka_consume_batch_queue(client_->queue(), wait_ms, slots.data() + taken_, wanted);
      if (got < 0) {
        errors_.push_back(FailureOf(client_->rk(), rd_kafka_last_error()));
        return;
      }
      Measure(slots.data() + taken_, static_cast<size_t>(got));
      taken_ += static_cast<size_t>(got);
      if (static_cast<size_t>(got) < wanted || client_->is_stopping()) return;
      wait_ms = 0;
      wanted = NextSlice();
    }
  }

  /** How many messages more: by the mean size so far, so that the byte limit is met closely. */
  size_t NextSlice() const {
    if (taken_ >= records_max_ || bytes_ >= bytes_max_) return 0;
    const size_t mean_bytes = std::max(bytes_ / taken_, kRecordHeaderBytes);
    const size_t by_bytes = std::max((bytes_max_ - bytes_) / mean_bytes, size_t{1});
    return std::min({records_max_ - taken_, by_bytes, kSliceRecords});
  }

  void Measure(rd_kafka_message_t** messages, size_t count) {
    for (size_t i = 0; i < count; i++) {
      if (i + kPrefetchAhead < count) __builtin_prefetch(messages[i + kPrefetchAhead]);
      rd_kafka_message_t* message = messages[i];
      if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        NoteError(message);
        continue;
      }
      Group& group = GroupOf(message);
      const size_t bytes =
          PadTo8(kRecordHeaderBytes + (message->key == nullptr ? 0 : message->key_len) +
                 (message->payload == nullptr ? 0 : message->len) + HeadersBytes(message));
      group.record_count++;
      group.bytes += bytes;
      bytes_ += bytes;
    }
  }

  Group& GroupOf(const rd_kafka_message_t* message) {
    // Runs of one partition are long: a fetch response delivers partition by partition.
    if (current_ < groups_.size() && groups_[current_].topic == message->rkt &&
        groups_[current_].partition == message->partition) {
      return groups_[current_];
    }
    for (current_ = 0; current_ < groups_.size(); current_++) {
      if (groups_[current_].topic == message->rkt && groups_[current_].partition == message->partition) {
        return groups_[current_];
      }
    }
    Group& group = groups_.emplace_back();
    group.topic = message->rkt;
    group.partition = message->partition;
    group.topic_name = rd_kafka_topic_name(message->rkt);
    return group;
  }

  void NoteError(const rd_kafka_message_t* message) {
    const std::string topic = message->rkt == nullptr ? "" : rd_kafka_topic_name(message->rkt);
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      ends_.push_back({topic, message->partition, message->offset});
      return;
    }
    Failure failure = FailureOf(client_->rk(), message->err, rd_kafka_message_errstr(message));
    failure.topic = topic;
    failure.partition = message->partition;
    failure.has_partition = !topic.empty();
    errors_.push_back(failure);
  }

  void StartFrame(Group& group) {
    group.frame = static_cast<char*>(TakeBlock(group.bytes));
    group.write_to = group.frame + kFrameHeaderBytes;
  }

  void PackMessages() {
    rd_kafka_message_t** messages = client_->slots().data();
    for (size_t i = 0; i < taken_; i++) {
      if (i + kPrefetchAhead < taken_) __builtin_prefetch(messages[i + kPrefetchAhead]);
      rd_kafka_message_t* message = messages[i];
      if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) Pack(GroupOf(message), message);
      rd_kafka_message_destroy(message);
    }
  }

  static void Pack(Group& group, rd_kafka_message_t* message) {
    char* const at = group.write_to;
    char* to = at + kRecordHeaderBytes;
    SourceRecordHeader* header = reinterpret_cast<SourceRecordHeader*>(at);
    header->key_bytes = message->key == nullptr ? -1 : static_cast<int32_t>(message->key_len);
    header->value_bytes = message->payload == nullptr ? -1 : static_cast<int32_t>(message->len);
    header->offset = static_cast<double>(message->offset);
    rd_kafka_timestamp_type_t type;
    header->timestamp_ms = static_cast<double>(rd_kafka_message_timestamp(message, &type));
    if (message->key != nullptr) {
      std::memcpy(to, message->key, message->key_len);
      to += message->key_len;
    }
    if (message->payload != nullptr) {
      std::memcpy(to, message->payload, message->len);
      to += message->len;
    }
    char* const end = PackHeaders(message, to);
    header->headers_bytes = static_cast<uint32_t>(end - to);
    const size_t used = static_cast<size_t>(end - at);
    const size_t padded = PadTo8(used);
    std::memset(end, 0, padded - used);
    header->record_bytes = static_cast<uint32_t>(padded);
    group.write_to = at + padded;
    group.last_offset = message->offset;
  }

  void FinishFrame(Group& group) {
    int64_t low = -1;
    int64_t high = -1;
    rd_kafka_get_watermark_offsets(client_->rk(), group.topic_name.c_str(), group.partition, &low, &high);
    FrameHeader* header = reinterpret_cast<FrameHeader*>(group.frame);
    header->magic = kFrameMagic;
    header->record_count = group.record_count;
    header->used_bytes = static_cast<uint32_t>(group.bytes);
    header->partition = group.partition;
    header->next_offset = static_cast<double>(group.last_offset + 1);
    header->high_watermark = high < 0 ? -1.0 : static_cast<double>(high);
  }

  v8::Local<v8::Array> BatchesToJs() {
    v8::Local<v8::Array> batches = Nan::New<v8::Array>(static_cast<int>(groups_.size()));
    for (uint32_t i = 0; i < groups_.size(); i++) {
      Group& group = groups_[i];
      v8::Local<v8::Object> batch = Nan::New<v8::Object>();
      SetField(batch, "topic", ToJs(group.topic_name));
      SetField(batch, "partition", Nan::New(group.partition));
      SetField(batch, "frame",
               v8::ArrayBuffer::New(v8::Isolate::GetCurrent(), StoreOver(group.frame, group.bytes)));
      group.frame = nullptr;  // JavaScript owns it now
      SetField(batch, "recordCount", Nan::New(group.record_count));
      SetField(batch, "bytes", Nan::New(static_cast<double>(group.bytes)));
      SetField(batch, "nextOffset", Nan::New(static_cast<double>(group.last_offset + 1)));
      Nan::Set(batches, i, batch);
    }
    return batches;
  }

  v8::Local<v8::Array> EndsToJs() {
    v8::Local<v8::Array> ends = Nan::New<v8::Array>(static_cast<int>(ends_.size()));
    for (uint32_t i = 0; i < ends_.size(); i++) {
      v8::Local<v8::Object> end = Nan::New<v8::Object>();
      SetField(end, "topic", ToJs(ends_[i].topic));
      SetField(end, "partition", Nan::New(ends_[i].partition));
      SetField(end, "offset", Nan::New(static_cast<double>(ends_[i].offset)));
      Nan::Set(ends, i, end);
    }
    return ends;
  }

  const size_t records_max_;
  const size_t bytes_max_;
  const int wait_ms_;
  size_t taken_ = 0;
  size_t bytes_ = 0;
  size_t current_ = 0;
  std::vector<Group> groups_;
  std::vector<PartitionEnd> ends_;
  std::vector<Failure> errors_;
};

}  // namespace

NAN_METHOD(PollMethod) {
  Client* client = ClientOf(info);
  if (client == nullptr) return;
  if (client->queue() == nullptr) return Nan::ThrowTypeError("poll is for consumers");
  if (client->is_polling) return Nan::ThrowError("one poll at a time");
  const double records_max = Nan::To<double>(info[0]).FromMaybe(0);
  const double bytes_max = Nan::To<double>(info[1]).FromMaybe(0);
  const int wait_ms = Nan::To<int32_t>(info[2]).FromMaybe(0);
  if (!(records_max >= 1 && records_max <= 10e6) || !(bytes_max >= 1 && bytes_max <= (1u << 30)) || wait_ms < 0) {
    return Nan::ThrowRangeError("poll takes 1..10,000,000 records, 1..2^30 bytes and a wait in ms");
  }
  Start(std::make_unique<PollCall>(client, static_cast<size_t>(records_max), static_cast<size_t>(bytes_max), wait_ms,
                                   info[3].As<v8::Function>()));
}

}  // namespace millrace
