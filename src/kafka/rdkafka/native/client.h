// A client of node-rdkafka, seen from the addon: its librdkafka handle and what the addon holds on it. Main thread, except
// where noted. node-rdkafka owns the handle and deletes it in its `disconnect`; `release` here must come first.
// Keeps SPEC: NATIVE-1 (every native call holds a counted lease on its client).
#pragma once
#include <nan.h>
#include <rdkafka.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace millrace {

class Acknowledgements;

class Client : public Nan::ObjectWrap {
 public:
  static v8::Local<v8::Function> Define();

  rd_kafka_t* rk() const { return rk_; }
  /** Where a consumer's messages and rebalances arrive; nullptr on a producer. */
  rd_kafka_queue_t* queue() const { return queue_; }
  bool is_stopping() const { return is_stopping_.load(std::memory_order_acquire); }

  void TakeLease();
  void ReturnLease();

  /** Pool thread, one poll at a time: the reused array for messages. */
  std::vector<rd_kafka_message_t*>& slots() { return slots_; }
  /** Pool thread, one produce call at a time: the handle of a topic, made once. Null with errno-like code in `code`. */
  rd_kafka_topic_t* Topic(const std::string& name, rd_kafka_resp_err_t* code);
  /** The counts of this producer's deliveries; nullptr on a consumer. */
  Acknowledgements* acknowledgements() const { return acknowledgements_.get(); }

  /** Set while a call of the kind is out: a second one is refused. Main thread. */
  bool is_polling = false;
  bool is_producing = false;

 private:
  Client(v8::Local<v8::Object> owner, rd_kafka_t* rk);
  ~Client() override;
  void Release();

  static NAN_METHOD(New);
  static NAN_METHOD(Wake);
  static NAN_METHOD(Stop);
  static NAN_METHOD(ReleaseMethod);
  static NAN_METHOD(Leases);

  rd_kafka_t* rk_;
  rd_kafka_queue_t* queue_ = nullptr;
  std::atomic<bool> is_stopping_{false};
  int lease_count_ = 0;
  /** Keeps node-rdkafka's object alive: its destructor would delete the handle. */
  Nan::Persistent<v8::Object> owner_;
  std::vector<rd_kafka_message_t*> slots_;
  std::unordered_map<std::string, rd_kafka_topic_t*> topics_;
  std::shared_ptr<Acknowledgements> acknowledgements_;
};

/** The client behind `this` of a method; throws into JavaScript and gives nullptr when it is released. */
Client* ClientOf(const Nan::FunctionCallbackInfo<v8::Value>& info);

// The methods of other files; each starts a call whose callback gets (failure | undefined, result | undefined).
NAN_METHOD(SetTokenMethod);            // setToken(token, expiresAtMs, extensions), throws a failure
NAN_METHOD(PollMethod);                // poll(recordsMax, bytesMax, waitMs, callback)
NAN_METHOD(ProduceMethod);             // produce(frames, topicsOfEach, callback)
NAN_METHOD(FlushMethod);               // flush(timeoutMs, callback)
NAN_METHOD(FailuresMethod);            // failures() -> DeliveryFailure[]
NAN_METHOD(InitTransactionsMethod);    // initTransactions(timeoutMs, callback)
NAN_METHOD(BeginMethod);               // begin(0, callback)
NAN_METHOD(CommitMethod);              // commit(timeoutMs, callback)
NAN_METHOD(AbortMethod);               // abort(timeoutMs, callback)
NAN_METHOD(SendOffsetsMethod);         // sendOffsets(offsets, group, timeoutMs, callback)
NAN_METHOD(GroupMetadataMethod);       // groupMetadata() -> NativeGroup, throws a failure
NAN_METHOD(IsAssignmentLostMethod);    // isAssignmentLost() -> boolean
NAN_METHOD(CloseMethod);               // close(callback)
NAN_METHOD(CommittedMethod);           // committed(partitions, timeoutMs, callback)
NAN_METHOD(SeekMethod);                // seek(partitions with offsets), throws a failure
NAN_METHOD(WatermarksMethod);          // watermarks(topic, partition, timeoutMs, callback)
NAN_METHOD(OffsetsForTimesMethod);     // offsetsForTimes(partitions with times as offsets, timeoutMs, callback)
NAN_METHOD(DescribeTopicsMethod);      // describeTopics(names, timeoutMs, callback)
NAN_METHOD(DescribeConfigMethod);      // describeConfig(topic, timeoutMs, callback)
NAN_METHOD(CreateTopicsMethod);        // createTopics(topics, timeoutMs, callback)
NAN_METHOD(DeleteRecordsMethod);       // deleteRecords(before, timeoutMs, callback)
NAN_METHOD(DeleteTopicsMethod);        // deleteTopics(names, timeoutMs, callback)
NAN_METHOD(GroupMembersMethod);        // groupMembers(groupId, timeoutMs, callback)
NAN_METHOD(MockTopicMethod);           // mockTopic(name, partitionCount, replicationFactor): on a mock cluster's owner

}  // namespace millrace
