// Committed offsets, watermarks and offsets of times. The waiting is on the pool's threads.
// Keeps SPEC: KAFKA-1 (committed offsets are read stable: a pending transaction is waited for).
#include "offsets.h"

#include <cstdlib>
#include <cstring>

#include "call.h"
#include "client.h"

namespace millrace {
namespace {

v8::Local<v8::Value> FieldOf(v8::Local<v8::Object> object, const char* name) {
  return Nan::Get(object, Nan::New(name).ToLocalChecked()).ToLocalChecked();
}

/** librdkafka frees the metadata with free(). */
void SetMetadata(rd_kafka_topic_partition_t* partition, const std::string& metadata) {
  if (metadata.empty()) return;
  partition->metadata = std::malloc(metadata.size());
  if (partition->metadata == nullptr) std::abort();
  std::memcpy(partition->metadata, metadata.data(), metadata.size());
  partition->metadata_size = metadata.size();
}

class CommittedCall : public Call {
 public:
  CommittedCall(Client* client, Partitions partitions, int timeout_ms, v8::Local<v8::Function> callback)
      : Call(client, callback), partitions_(std::move(partitions)), timeout_ms_(timeout_ms) {}

  void Run() override {
    failure_ = FailureOf(client_->rk(), rd_kafka_committed(client_->rk(), partitions_.get(), timeout_ms_));
    for (int i = 0; !failure_ && i < partitions_->cnt; i++) {
      const rd_kafka_topic_partition_t& partition = partitions_->elems[i];
      failure_ = FailureOf(client_->rk(), partition.err);
      failure_.topic = partition.topic;
      failure_.partition = partition.partition;
      failure_.has_partition = true;
    }
  }

 protected:
  v8::Local<v8::Value> Result() override { return CommittedToJs(partitions_.get()); }

 private:
  Partitions partitions_;
  const int timeout_ms_;
};

/** The first record of each partition at or after a time; beyond the last one there is none. */
class OffsetsForTimesCall : public Call {
 public:
  OffsetsForTimesCall(Client* client, Partitions asked, int timeout_ms, v8::Local<v8::Function> callback)
      : Call(client, callback), asked_(std::move(asked)), timeout_ms_(timeout_ms) {}

  void Run() override {
    failure_ = FailureOf(client_->rk(), rd_kafka_offsets_for_times(client_->rk(), asked_.get(), timeout_ms_));
    for (int i = 0; !failure_ && i < asked_->cnt; i++) {
      const rd_kafka_topic_partition_t& partition = asked_->elems[i];
      failure_ = FailureOf(client_->rk(), partition.err);
      failure_.topic = partition.topic;
      failure_.partition = partition.partition;
      failure_.has_partition = true;
    }
  }

 protected:
  /** Negative offsets (the end) are undefined there, as those that were never committed are. */
  v8::Local<v8::Value> Result() override { return CommittedToJs(asked_.get()); }

 private:
  Partitions asked_;
  const int timeout_ms_;
};

/** Asks by ListOffsets and not by the older call, which would answer the last stable offset to a read_committed client. */
class WatermarksCall : public Call {
 public:
  WatermarksCall(Client* client, std::string topic, int32_t partition, int timeout_ms, v8::Local<v8::Function> callback)
      : Call(client, callback), topic_(std::move(topic)), partition_(partition), timeout_ms_(timeout_ms) {}

  void Run() override {
    low_ = Ask(RD_KAFKA_OFFSET_SPEC_EARLIEST);
    if (!failure_) high_ = Ask(RD_KAFKA_OFFSET_SPEC_LATEST);
    if (!failure_) return;
    failure_.topic = topic_;
    failure_.partition = partition_;
    failure_.has_partition = true;
  }

 protected:
  v8::Local<v8::Value> Result() override {
    v8::Local<v8::Object> result = Nan::New<v8::Object>();
    SetField(result, "low", Nan::New(static_cast<double>(low_)));
    SetField(result, "high", Nan::New(static_cast<double>(high_)));
    return result;
  }

 private:
  int64_t Ask(int64_t which) {
    rd_kafka_t* rk = client_->rk();
    Partitions asked(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_list_add(asked.get(), topic_.c_str(), partition_)->offset = which;
    rd_kafka_AdminOptions_t* options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_LISTOFFSETS);
    char text[256];
    rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms_, text, sizeof(text));
    if (rd_kafka_error_t* error =
            rd_kafka_AdminOptions_set_isolation_level(options, RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED)) {
      rd_kafka_error_destroy(error);
    }
    rd_kafka_queue_t* answers = rd_kafka_queue_new(rk);
    rd_kafka_ListOffsets(rk, asked.get(), options, answers);
    rd_kafka_event_t* event = rd_kafka_queue_poll(answers, timeout_ms_ + 1000);
    const int64_t offset = OffsetOf(event);
    if (event != nullptr) rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(answers);
    rd_kafka_AdminOptions_destroy(options);
    return offset;
  }

  int64_t OffsetOf(rd_kafka_event_t* event) {
    if (event == nullptr || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
      failure_ = event == nullptr ? FailureOf(client_->rk(), RD_KAFKA_RESP_ERR__TIMED_OUT)
                                  : FailureOf(client_->rk(), rd_kafka_event_error(event), rd_kafka_event_error_string(event));
      return -1;
    }
    size_t count = 0;
    const rd_kafka_ListOffsetsResultInfo_t** infos =
        rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(event), &count);
    if (count != 1) {
      failure_ = FailureOf(client_->rk(), RD_KAFKA_RESP_ERR__BAD_MSG);
      return -1;
    }
    const rd_kafka_topic_partition_t* answer = rd_kafka_ListOffsetsResultInfo_topic_partition(infos[0]);
    failure_ = FailureOf(client_->rk(), answer->err);
    return answer->offset;
  }

  const std::string topic_;
  const int32_t partition_;
  const int timeout_ms_;
  int64_t low_ = -1;
  int64_t high_ = -1;
};

}  // namespace

Partitions PartitionsOf(v8::Local<v8::Value> value) {
  v8::Local<v8::Array> list = value.As<v8::Array>();
  Partitions partitions(rd_kafka_topic_partition_list_new(static_cast<int>(list->Length())));
  for (uint32_t i = 0; i < list->Length(); i++) {
    v8::Local<v8::Object> item = Nan::Get(list, i).ToLocalChecked().As<v8::Object>();
    const std::string topic = ToStdString(FieldOf(item, "topic"));
    const int32_t number = Nan::To<int32_t>(FieldOf(item, "partition")).FromMaybe(-1);
    rd_kafka_topic_partition_t* partition = rd_kafka_topic_partition_list_add(partitions.get(), topic.c_str(), number);
    v8::Local<v8::Value> offset = FieldOf(item, "offset");
    if (offset->IsNumber()) partition->offset = Nan::To<int64_t>(offset).FromJust();
    v8::Local<v8::Value> metadata = FieldOf(item, "metadata");
    if (metadata->IsString()) SetMetadata(partition, ToStdString(metadata));
  }
  return partitions;
}

v8::Local<v8::Array> CommittedToJs(const rd_kafka_topic_partition_list_t* list) {
  v8::Local<v8::Array> result = Nan::New<v8::Array>(list->cnt);
  for (int i = 0; i < list->cnt; i++) {
    const rd_kafka_topic_partition_t& partition = list->elems[i];
    v8::Local<v8::Object> item = Nan::New<v8::Object>();
    SetField(item, "topic", ToJs(std::string(partition.topic)));
    SetField(item, "partition", Nan::New(partition.partition));
    SetField(item, "offset", partition.offset < 0 ? Nan::Undefined().As<v8::Value>()
                                                  : Nan::New(static_cast<double>(partition.offset)).As<v8::Value>());
    const char* metadata = static_cast<const char*>(partition.metadata);
    SetField(item, "metadata", ToJs(metadata == nullptr ? std::string() : std::string(metadata, partition.metadata_size)));
    Nan::Set(result, static_cast<uint32_t>(i), item);
  }
  return result;
}

NAN_METHOD(CommittedMethod) {
  Client* client = ClientOf(info);
  if (client == nullptr) return;
  Start(std::make_unique<CommittedCall>(client, PartitionsOf(info[0]), Nan::To<int32_t>(info[1]).FromMaybe(0),
                                        info[2].As<v8::Function>()));
}

/** The times are in the field `offset`, as librdkafka wants them. */
NAN_METHOD(OffsetsForTimesMethod) {
  Client* client = ClientOf(info);
  if (client == nullptr) return;
  Start(std::make_unique<OffsetsForTimesCall>(client, PartitionsOf(info[0]), Nan::To<int32_t>(info[1]).FromMaybe(0),
                                              info[2].As<v8::Function>()));
}

/** Takes effect in the order of the calls, like pause and resume: librdkafka queues all three for its own thread. */
NAN_METHOD(SeekMethod) {
  Client* client = ClientOf(info);
  if (client == nullptr) return;
  Partitions partitions = PartitionsOf(info[0]);
  rd_kafka_error_t* error = rd_kafka_seek_partitions(client->rk(), partitions.get(), 0);
  if (error == nullptr) return;
  const Failure failure = FailureOf(client->rk(), rd_kafka_error_code(error), rd_kafka_error_string(error));
  rd_kafka_error_destroy(error);
  ThrowFailure(failure);
}

NAN_METHOD(WatermarksMethod) {
  Client* client = ClientOf(info);
  if (client == nullptr) return;
  Start(std::make_unique<WatermarksCall>(client, ToStdString(info[0]), Nan::To<int32_t>(info[1]).FromMaybe(-1),
                                         Nan::To<int32_t>(info[2]).FromMaybe(0), info[3].As<v8::Function>()));
}

}  // namespace millrace
