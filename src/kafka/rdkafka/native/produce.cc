// Hot path: hands the records of sink frames to librdkafka, which copies them. Pool thread; one produce call a client.
// A full queue is waited for, in order; flush waits until the fate of every record is known.
// Keeps SPEC: FRAME-1, NATIVE-2 (no delivery failure is lost), NATIVE-3 (the client's queue is limited, the wait is ours).
#include <sched.h>

#include <chrono>
#include <cstring>

#include "acknowledgement.h"
#include "call.h"
#include "client.h"
#include "frame-layout.h"

namespace millrace {
namespace {

/** How long a full queue is left alone before the next try. */
constexpr int kQueueFullWaitMs = 2;
/** How often a waiting flush serves librdkafka's callbacks. */
constexpr int kFlushSliceMs = 50;

struct SinkFrame {
  std::shared_ptr<v8::BackingStore> bytes;
  std::vector<std::string> topics;
  /** Handles of `topics`, made when first met. */
  std::vector<rd_kafka_topic_t*> handles;
};

bool Fits(size_t at, size_t bytes, size_t end) { return at <= end && bytes <= end - at; }

/** The packed headers as librdkafka's list; nullptr when they run over their end. */
rd_kafka_headers_t* UnpackHeaders(const char* packed, size_t bytes) {
  rd_kafka_headers_t* headers = rd_kafka_headers_new(8);
  for (size_t at = 0; at < bytes;) {
    uint16_t name_bytes = 0;
    int32_t value_bytes = 0;
    if (!Fits(at, kHeaderPrefixBytes, bytes)) return rd_kafka_headers_destroy(headers), nullptr;
    std::memcpy(&name_bytes, packed + at, 2);
    std::memcpy(&value_bytes, packed + at + 2, 4);
    at += kHeaderPrefixBytes;
    const size_t value_length = value_bytes < 0 ? 0 : static_cast<size_t>(value_bytes);
    if (!Fits(at, name_bytes + value_length, bytes)) return rd_kafka_headers_destroy(headers), nullptr;
    const char* name = packed + at;
    rd_kafka_header_add(headers, name, name_bytes, value_bytes < 0 ? nullptr : name + name_bytes,
                        static_cast<ssize_t>(value_length));
    at += name_bytes + value_length;
  }
  return headers;
}

/** librdkafka reads 0 as "now", so the first millisecond of 1970 stands for it. */
int64_t TimestampOf(double timestamp_ms) { return timestamp_ms == 0 ? 1 : static_cast<int64_t>(timestamp_ms); }

class ProduceCall : public Call {
 public:
  ProduceCall(Client* client, std::vector<SinkFrame> frames, v8::Local<v8::Function> callback)
      : Call(client, callback), frames_(std::move(frames)) {
    client->is_producing = true;
  }

  void Run() override {
    for (size_t i = 0; i < frames_.size(); i++) {
      if (ProduceFrame(frames_[i])) continue;
      failure_.frame_index = static_cast<int>(i);
      return;
    }
    rd_kafka_poll(client_->rk(), 0);
  }

 protected:
  void Ended() override { client_->is_producing = false; }

 private:
  bool ProduceFrame(SinkFrame& frame) {
    const char* bytes = static_cast<const char*>(frame.bytes->Data());
    const size_t length = frame.bytes->ByteLength();
    if (length < kFrameHeaderBytes) return Malformed(0);
    const FrameHeader* header = reinterpret_cast<const FrameHeader*>(bytes);
    if (header->magic != kFrameMagic || header->used_bytes > length) return Malformed(0);
    frame.handles.resize(frame.topics.size(), nullptr);
    size_t at = kFrameHeaderBytes;
    for (uint32_t i = 0; i < header->record_count; i++) {
      if (!ProduceRecord(frame, bytes, header->used_bytes, &at, i)) return false;
    }
    return true;
  }

  bool ProduceRecord(SinkFrame& frame, const char* bytes, size_t end, size_t* at, uint32_t index) {
    if (!Fits(*at, kRecordHeaderBytes, end)) return Malformed(index);
    const SinkRecordHeader* record = reinterpret_cast<const SinkRecordHeader*>(bytes + *at);
    const size_t key_bytes = record->key_bytes < 0 ? 0 : static_cast<size_t>(record->key_bytes);
    const size_t value_bytes = record->value_bytes < 0 ? 0 : static_cast<size_t>(record->value_bytes);
    const size_t used = kRecordHeaderBytes + key_bytes + value_bytes + record->headers_bytes;
    if (record->record_bytes < used || record->record_bytes % 8 != 0 || !Fits(*at, record->record_bytes, end) ||
        record->topic_index >= frame.topics.size()) {
      return Malformed(index);
    }
    rd_kafka_topic_t* topic = TopicOf(frame, record->topic_index);
    if (topic == nullptr) return false;
    const char* key = bytes + *at + kRecordHeaderBytes;
    *at += record->record_bytes;
    return Hand(frame.topics[record->topic_index], topic, record, key, key + key_bytes, index);
  }

  rd_kafka_topic_t* TopicOf(SinkFrame& frame, uint32_t index) {
    rd_kafka_topic_t*& topic = frame.handles[index];
    if (topic != nullptr) return topic;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    topic = client_->Topic(frame.topics[index], &code);
    if (topic == nullptr) {
      failure_ = FailureOf(client_->rk(), code);
      failure_.topic = frame.topics[index];
    }
    return topic;
  }

  bool Hand(const std::string& name, rd_kafka_topic_t* topic, const SinkRecordHeader* record, const char* key,
            const char* value, uint32_t index) {
    rd_kafka_vu_t fields[7];
    size_t count = 0;
    fields[count].vtype = RD_KAFKA_VTYPE_RKT;
    fields[count++].u.rkt = topic;
    fields[count].vtype = RD_KAFKA_VTYPE_PARTITION;
    fields[count++].u.i32 = record->partition < 0 ? RD_KAFKA_PARTITION_UA : record->partition;
    fields[count].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
    fields[count++].u.i = RD_KAFKA_MSG_F_COPY;
    fields[count].vtype = RD_KAFKA_VTYPE_VALUE;
    fields[count].u.mem.ptr = record->value_bytes < 0 ? nullptr : const_cast<char*>(value);
    fields[count++].u.mem.size = record->value_bytes < 0 ? 0 : static_cast<size_t>(record->value_bytes);
    fields[count].vtype = RD_KAFKA_VTYPE_KEY;
    fields[count].u.mem.ptr = record->key_bytes < 0 ? nullptr : const_cast<char*>(key);
    fields[count++].u.mem.size = record->key_bytes < 0 ? 0 : static_cast<size_t>(record->key_bytes);
    if (record->timestamp_ms >= 0) {
      fields[count].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
      fields[count++].u.i64 = TimestampOf(record->timestamp_ms);
    }
    rd_kafka_headers_t* headers = nullptr;
    if (record->headers_bytes > 0) {
      headers = UnpackHeaders(value + (record->value_bytes < 0 ? 0 : record->value_bytes), record->headers_bytes);
      if (headers == nullptr) return Malformed(index);
      fields[count].vtype = RD_KAFKA_VTYPE_HEADERS;
      fields[count++].u.headers = headers;
    }
    return Enqueue(name, fields, count, headers, record->partition, index);
  }

  /** Tries until the client takes it; its queue being full is no failure. Owns `headers` unless the client took them. */
  bool Enqueue(const std::string& name, rd_kafka_vu_t* fields, size_t count, rd_kafka_headers_t* headers,
               int32_t partition, uint32_t index) {
    Acknowledgements* acknowledgements = client_->acknowledgements();
    for (;;) {
      // Counted first: the record may be acknowledged before this thread runs again.
      if (acknowledgements != nullptr) acknowledgements->Expect(1);
      rd_kafka_error_t* error = rd_kafka_produceva(client_->rk(), fields, count);
      if (error == nullptr) return true;
      if (acknowledgements != nullptr) acknowledgements->Expect(static_cast<uint64_t>(-1));
      const bool is_full = rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__QUEUE_FULL;
      if (!is_full || client_->is_stopping()) {
        if (headers != nullptr) rd_kafka_headers_destroy(headers);
        failure_ = TakeFailure(error);
        failure_.message += " (record " + std::to_string(index) + " of its frame)";
        failure_.topic = name;
        failure_.partition = partition;
        failure_.has_partition = partition >= 0;
        return false;
      }
      rd_kafka_error_destroy(error);
      rd_kafka_poll(client_->rk(), kQueueFullWaitMs);
    }
  }

  bool Malformed(uint32_t index) {
    failure_.code = RD_KAFKA_RESP_ERR__INVALID_ARG;
    failure_.message = "the frame is malformed at record " + std::to_string(index);
    return false;
  }

  std::vector<SinkFrame> frames_;
};

class FlushCall : public Call {
 public:
  FlushCall(Client* client, int timeout_ms, v8::Local<v8::Function> callback)
      : Call(client, callback), timeout_ms_(timeout_ms) {}

  void Run() override {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point deadline = Clock::now() + std::chrono::milliseconds(timeout_ms_);
    while (!WaitSlice(deadline)) {
      rd_kafka_poll(client_->rk(), 0);
      if (client_->is_stopping() || Clock::now() >= deadline) {
        failure_ = FailureOf(client_->rk(), client_->is_stopping() ? RD_KAFKA_RESP_ERR__DESTROY
                                                                   : RD_KAFKA_RESP_ERR__TIMED_OUT);
        return;
      }
    }
    // librdkafka counts a record as out until it is freed, a moment after its fate is told; a commit that finds one
    // out would sleep 10 ms.
    while (rd_kafka_outq_len(client_->rk()) > 0 && !client_->is_stopping() && Clock::now() < deadline) {
      rd_kafka_poll(client_->rk(), 0);
      sched_yield();
    }
    failure_ = client_->acknowledgements()->First();
    if (!failure_) failure_ = FatalFailure(client_->rk());
  }

 private:
  bool WaitSlice(std::chrono::steady_clock::time_point deadline) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    const int wait_ms = static_cast<int>(std::min<int64_t>(std::max<int64_t>(left.count(), 0), kFlushSliceMs));
    return client_->acknowledgements()->WaitForAll(wait_ms);
  }

  const int timeout_ms_;
};

std::vector<SinkFrame> FramesOf(v8::Local<v8::Array> frames, v8::Local<v8::Array> topics) {
  std::vector<SinkFrame> result;
  for (uint32_t i = 0; i < frames->Length(); i++) {
    v8::Local<v8::Value> frame = Nan::Get(frames, i).ToLocalChecked();
    v8::Local<v8::Value> names = Nan::Get(topics, i).ToLocalChecked();
    if (!frame->IsArrayBuffer() || !names->IsArray()) return {};
    SinkFrame& sink = result.emplace_back();
    sink.bytes = frame.As<v8::ArrayBuffer>()->GetBackingStore();
    v8::Local<v8::Array> list = names.As<v8::Array>();
    for (uint32_t t = 0; t < list->Length(); t++) {
      sink.topics.push_back(ToStdString(Nan::Get(list, t).ToLocalChecked()));
    }
  }
  return result;
}

}  // namespace

NAN_METHOD(ProduceMethod) {
  Client* client = ClientOf(info);
  if (client == nullptr) return;
  if (client->is_producing) return Nan::ThrowError("one produce call at a time");
  std::vector<SinkFrame> frames = FramesOf(info[0].As<v8::Array>(), info[1].As<v8::Array>());
  if (frames.empty()) return Nan::ThrowTypeError("produce takes ArrayBuffers and as many arrays of topic names");
  Start(std::make_unique<ProduceCall>(client, std::move(frames), info[2].As<v8::Function>()));
}

NAN_METHOD(FlushMethod) {
  Client* client = ClientOf(info);
  if (client == nullptr) return;
  if (client->acknowledgements() == nullptr) return Nan::ThrowTypeError("flush is for producers made with the plugin");
  Start(std::make_unique<FlushCall>(client, Nan::To<int32_t>(info[0]).FromMaybe(0), info[1].As<v8::Function>()));
}

NAN_METHOD(FailuresMethod) {
  Client* client = ClientOf(info);
  if (client == nullptr) return;
  v8::Local<v8::Array> list = Nan::New<v8::Array>();
  if (client->acknowledgements() != nullptr) {
    std::vector<DeliveryFailure> failures = client->acknowledgements()->Take();
    for (uint32_t i = 0; i < failures.size(); i++) {
      v8::Local<v8::Object> failure = ToJs(failures[i].failure);
      if (failures[i].has_key) {
        const std::string& key = failures[i].key;
        SetField(failure, "key", Nan::CopyBuffer(key.data(), static_cast<uint32_t>(key.size())).ToLocalChecked());
      }
      Nan::Set(list, i, failure);
    }
  }
  info.GetReturnValue().Set(list);
}

}  // namespace millrace
