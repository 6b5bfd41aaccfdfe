// Group memberships: taking one from a consumer, refusing one that is none, letting it go. Main thread.
// Keeps SPEC: KAFKA-2. Brokers check the member and its generation, not who owns a partition, so a membership read at
// commit time would pass offsets of a partition that was just given away; this object is as old as the assignment.
#include "group.h"

#include "client.h"
#include "failure.h"

namespace millrace {

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

NAN_METHOD(IsAssignmentLostMethod) {
  Client* client = ClientOf(info);
  if (client == nullptr) return;
  info.GetReturnValue().Set(client->queue() != nullptr && rd_kafka_assignment_lost(client->rk()) != 0);
}

}  // namespace millrace
