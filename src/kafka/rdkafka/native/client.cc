// The JavaScript class NativeClient: takes the librdkafka handle out of node-rdkafka's object and counts leases on it.
// Main thread. Keeps SPEC: NATIVE-1 (every native call holds a counted lease on its client).
#include "client.h"

#include "acknowledgement.h"
#include "failure.h"
#include "src/connection.h"

namespace millrace {
namespace {

/** Reads the protected member of node-rdkafka's class; its version is pinned and checked before anything is wrapped. */
struct Inside : NodeKafka::Connection {
  static RdKafka::Handle* HandleOf(NodeKafka::Connection* connection) { return connection->*(&Inside::m_client); }
};

rd_kafka_t* HandleOf(v8::Local<v8::Object> owner) {
  if (owner->InternalFieldCount() < 1) return nullptr;
  NodeKafka::Connection* connection = Nan::ObjectWrap::Unwrap<NodeKafka::Connection>(owner);
  RdKafka::Handle* handle = connection == nullptr ? nullptr : Inside::HandleOf(connection);
  return handle == nullptr ? nullptr : handle->c_ptr();
}

}  // namespace

Client::Client(v8::Local<v8::Object> owner, rd_kafka_t* rk) : rk_(rk), owner_(owner) {
  if (rd_kafka_type(rk) == RD_KAFKA_CONSUMER) {
    queue_ = rd_kafka_queue_get_consumer(rk);
  } else {
    acknowledgements_ = AcknowledgementsOf(rk);
  }
}

Client::~Client() { Release(); }

NAN_METHOD(Client::New) {
  if (!info.IsConstructCall() || info.Length() < 1 || !info[0]->IsObject()) {
    return Nan::ThrowTypeError("new NativeClient(client) takes a client of node-rdkafka");
  }
  v8::Local<v8::Object> owner = info[0].As<v8::Object>();
  rd_kafka_t* rk = HandleOf(owner);
  if (rk == nullptr) return Nan::ThrowTypeError("the client of node-rdkafka is not connected");
  (new Client(owner, rk))->Wrap(info.This());
  info.GetReturnValue().Set(info.This());
}

void Client::TakeLease() {
  lease_count_++;
  Ref();
}

void Client::ReturnLease() {
  lease_count_--;
  Unref();
}

rd_kafka_topic_t* Client::Topic(const std::string& name, rd_kafka_resp_err_t* code) {
  auto found = topics_.find(name);
  if (found != topics_.end()) return found->second;
  rd_kafka_topic_t* topic = rd_kafka_topic_new(rk_, name.c_str(), nullptr);
  if (topic == nullptr) {
    *code = rd_kafka_last_error();
    return nullptr;
  }
  topics_.emplace(name, topic);
  return topic;
}

/** Ends a poll that waits; the flag stays set for the next one when none is waiting. */
NAN_METHOD(Client::Wake) {
  Client* client = ClientOf(info);
  if (client != nullptr && client->queue_ != nullptr) rd_kafka_queue_yield(client->queue_);
}

/** From now on no call waits longer than it must: polls, produce and flush calls come back. */
NAN_METHOD(Client::Stop) {
  Client* client = ClientOf(info);
  if (client == nullptr) return;
  client->is_stopping_.store(true, std::memory_order_release);
  if (client->queue_ != nullptr) rd_kafka_queue_yield(client->queue_);
  if (client->acknowledgements_) client->acknowledgements_->Wake();
}

NAN_METHOD(Client::Leases) {
  Client* client = Nan::ObjectWrap::Unwrap<Client>(info.This());
  info.GetReturnValue().Set(client->lease_count_);
}

/** Lets go of the handle, so that node-rdkafka may delete it. Refused while a call is out. */
NAN_METHOD(Client::ReleaseMethod) {
  Client* client = Nan::ObjectWrap::Unwrap<Client>(info.This());
  if (client->lease_count_ > 0) return Nan::ThrowError("a call of this client is still out");
  client->Release();
}

void Client::Release() {
  if (rk_ == nullptr) return;
  for (auto& [name, topic] : topics_) rd_kafka_topic_destroy(topic);
  topics_.clear();
  if (queue_ != nullptr) rd_kafka_queue_destroy(queue_);
  queue_ = nullptr;
  acknowledgements_.reset();
  rk_ = nullptr;
  owner_.Reset();
}

Client* ClientOf(const Nan::FunctionCallbackInfo<v8::Value>& info) {
  Client* client = Nan::ObjectWrap::Unwrap<Client>(info.This());
  if (client->rk() != nullptr) return client;
  Failure failure;
  failure.code = RD_KAFKA_RESP_ERR__STATE;
  failure.message = "the client is closed";
  ThrowFailure(failure);
  return nullptr;
}

v8::Local<v8::Function> Client::Define() {
  Nan::EscapableHandleScope scope;
  v8::Local<v8::FunctionTemplate> type = Nan::New<v8::FunctionTemplate>(New);
  type->SetClassName(Nan::New("NativeClient").ToLocalChecked());
  type->InstanceTemplate()->SetInternalFieldCount(1);
  Nan::SetPrototypeMethod(type, "wake", Wake);
  Nan::SetPrototypeMethod(type, "stop", Stop);
  Nan::SetPrototypeMethod(type, "leases", Leases);
  Nan::SetPrototypeMethod(type, "release", ReleaseMethod);
  Nan::SetPrototypeMethod(type, "setToken", SetTokenMethod);
  Nan::SetPrototypeMethod(type, "poll", PollMethod);
  Nan::SetPrototypeMethod(type, "produce", ProduceMethod);
  Nan::SetPrototypeMethod(type, "flush", FlushMethod);
  Nan::SetPrototypeMethod(type, "failures", FailuresMethod);
  Nan::SetPrototypeMethod(type, "initTransactions", InitTransactionsMethod);
  Nan::SetPrototypeMethod(type, "begin", BeginMethod);
  Nan::SetPrototypeMethod(type, "commit", CommitMethod);
  Nan::SetPrototypeMethod(type, "abort", AbortMethod);
  Nan::SetPrototypeMethod(type, "sendOffsets", SendOffsetsMethod);
  Nan::SetPrototypeMethod(type, "groupMetadata", GroupMetadataMethod);
  Nan::SetPrototypeMethod(type, "isAssignmentLost", IsAssignmentLostMethod);
  Nan::SetPrototypeMethod(type, "close", CloseMethod);
  Nan::SetPrototypeMethod(type, "committed", CommittedMethod);
  Nan::SetPrototypeMethod(type, "seek", SeekMethod);
  Nan::SetPrototypeMethod(type, "watermarks", WatermarksMethod);
  Nan::SetPrototypeMethod(type, "offsetsForTimes", OffsetsForTimesMethod);
  Nan::SetPrototypeMethod(type, "describeTopics", DescribeTopicsMethod);
  Nan::SetPrototypeMethod(type, "describeConfig", DescribeConfigMethod);
  Nan::SetPrototypeMethod(type, "createTopics", CreateTopicsMethod);
  Nan::SetPrototypeMethod(type, "deleteRecords", DeleteRecordsMethod);
  Nan::SetPrototypeMethod(type, "deleteTopics", DeleteTopicsMethod);
  Nan::SetPrototypeMethod(type, "groupMembers", GroupMembersMethod);
  Nan::SetPrototypeMethod(type, "mockTopic", MockTopicMethod);
  return scope.Escape(Nan::GetFunction(type).ToLocalChecked());
}

}  // namespace millrace
