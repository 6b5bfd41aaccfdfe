// Group memberships: taking one from a consumer, refusing one that is none, letting it go; closing the consumer. Main thread,
// except where noted.
// Keeps SPEC: NATIVE-1 (nobody uses a handle that is being deleted), KAFKA-2. Brokers check the member and its generation, not who owns a partition, so a membership read at
// commit time would pass offsets of a partition that was just given away; this object is as old as the assignment.
#include "group.h"

#include "call.h"
#include "client.h"
#include "failure.h"

namespace millrace {
namespace {

/** How often a close that waits looks whether it is done. */
constexpr int kCloseSliceMs = 50;

/**
 * Closes a consumer and serves what comes of it, a last rebalance above all. node-rdkafka's own close deletes the handle
 * in the same breath, on its thread, while the main thread may still be inside the unassign that answers that rebalance.
 * A static member stays in its group. It takes what it takes: a second close while one is under way never ends, so whoever
 * does not want to wait leaves the client to this call.
 */
class CloseCall : public Call {
 public:
  CloseCall(Client* client, v8::Local<v8::Function> callback) : Call(client, callback) {}

  void Run() override {
    rd_kafka_t* rk = client_->rk();
    rd_kafka_queue_t* queue = rd_kafka_queue_new(rk);
    failure_ = TakeFailure(rd_kafka_consumer_close_queue(rk, queue));
    while (!failure_ && rd_kafka_consumer_closed(rk) == 0) {
      rd_kafka_message_t* message = rd_kafka_consume_queue(queue, kCloseSliceMs);
      if (message != nullptr) rd_kafka_message_destroy(message);
    }
    rd_kafka_queue_destroy(queue);
  }
};

}  // namespace

Nan::Persistent<v8::FunctionTemplate>& Group::Type() {
  static Nan::Persistent<v8::FunctionTemplate>* type = new Nan::Persistent<v8::FunctionTemplate>();
  return *type;
}

NAN_METHOD(Group::New) {
  (new Group())->Wrap(info.This());
  info.GetReturnValue().Set(info.This());
}

NAN_METHOD(Group::Release) { Nan::ObjectWrap::Unwrap<Group>(info.This())->metadata_.reset(); }

void Group::Define(v8::Local<v8::Object> exports) {
  v8::Local<v8::FunctionTemplate> type = Nan::New<v8::FunctionTemplate>(New);
  type->SetClassName(Nan::New("NativeGroup").ToLocalChecked());
  type->InstanceTemplate()->SetInternalFieldCount(1);
  Nan::SetPrototypeMethod(type, "release", Release);
  Type().Reset(type);
}

v8::Local<v8::Object> Group::Make(GroupMetadata metadata) {
  Nan::EscapableHandleScope scope;
  v8::Local<v8::Function> constructor = Nan::GetFunction(Nan::New(Type())).ToLocalChecked();
  v8::Local<v8::Object> object = Nan::NewInstance(constructor).ToLocalChecked();
  SetField(object, "memberId",
           ToJs(std::string(rd_kafka_consumer_group_metadata_member_id(metadata.get()))));
  SetField(object, "generation", Nan::New(rd_kafka_consumer_group_metadata_generation_id(metadata.get())));
  Nan::ObjectWrap::Unwrap<Group>(object)->metadata_ = std::move(metadata);
  return scope.Escape(object);
}

GroupMetadata Group::Of(v8::Local<v8::Value> value) {
  if (!Nan::New(Type())->HasInstance(value)) return nullptr;
  return Nan::ObjectWrap::Unwrap<Group>(value.As<v8::Object>())->metadata_;
}

NAN_METHOD(GroupMetadataMethod) {
  Client* client = ClientOf(info);
  if (client == nullptr) return;
  if (client->queue() == nullptr) return Nan::ThrowTypeError("groupMetadata is for consumers");
  GroupMetadata metadata(rd_kafka_consumer_group_metadata(client->rk()), [](rd_kafka_consumer_group_metadata_t* taken) {
    if (taken != nullptr) rd_kafka_consumer_group_metadata_destroy(taken);
  });
  const bool is_member = metadata && rd_kafka_consumer_group_metadata_generation_id(metadata.get()) >= 0 &&
                         *rd_kafka_consumer_group_metadata_member_id(metadata.get()) != '\0';
  if (is_member) return info.GetReturnValue().Set(Group::Make(metadata));
  Failure failure = FailureOf(client->rk(), RD_KAFKA_RESP_ERR__STATE, "this consumer is not a member of its group now");
  ThrowFailure(failure);
}

NAN_METHOD(CloseMethod) {
  Client* client = ClientOf(info);
  if (client == nullptr) return;
  if (client->queue() == nullptr) return Nan::ThrowTypeError("close is for consumers");
  Start(std::make_unique<CloseCall>(client, info[0].As<v8::Function>()));
}

NAN_METHOD(IsAssignmentLostMethod) {
  Client* client = ClientOf(info);
  if (client == nullptr) return;
  info.GetReturnValue().Set(client->queue() != nullptr && rd_kafka_assignment_lost(client->rk()) != 0);
}

}  // namespace millrace
